import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.smallest import smallest


@pytest.mark.parametrize("count", [0, 1, 37, 99, 100])
@pytest.mark.parametrize("xla", [False, True])
def test_the_smallest_count(count, xla):
    values = np.random.default_rng(0).exponential(size=(3, 100)).astype(np.float32)
    weights = tf.function(smallest, jit_compile=xla)(values, count)
    rank = values.argsort(axis=1).argsort(axis=1)
    np.testing.assert_array_equal(weights, rank < count)


def test_equal_values_share_what_is_left():
    values = np.array([[2, 1, 2, 0, 2, 9], [0, 0, 0, 0, 0, 0], [1, 1, 5, 5, 7, 7]], np.float32)
    expected = [[1 / 3, 1, 1 / 3, 1, 1 / 3, 0], [0.5] * 6, [1, 1, 0.5, 0.5, 0, 0]]
    np.testing.assert_allclose(smallest(values, 3), expected, rtol=1e-6)


def test_the_smallest_and_largest_numbers_keep_their_order():
    values = np.array([[3e38, 0, 1e-45, np.inf, 1e-38]], np.float32)
    for count, expected in enumerate(
        ([0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 0, 1])
    ):
        assert smallest(values, count).numpy().tolist() == [expected]


def test_rows_without_values():
    assert smallest(np.zeros((2, 0), np.float32), 0).shape == (2, 0)
