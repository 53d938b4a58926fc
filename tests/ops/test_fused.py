import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.fused import fused


def work(x, factor: int):
    return x * factor, tf.reduce_sum(x, axis=0)


@pytest.mark.parametrize("pixels", [None, 12])
def test_values_are_those_of_the_function(pixels):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)

    def call(x):
        return fused(work)(x, 3, pixels=pixels)

    for found in (call(x), tf.function(call)(x)):
        for ours, theirs in zip(found, work(x, 3), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_few_pixels_are_not_compiled():
    names = []

    @fused
    def spy(x):
        names.append(tf.executing_eagerly())
        return x + 1

    spy(tf.ones([2]), pixels=2)
    spy(tf.ones([2]))
    assert names == [True, False]
