import numpy as np
import tensorflow as tf

from tfpanoptic.ops.argmax import argmax, largest


def test_the_index_is_int32_and_the_first_of_equal_values():
    index = argmax(tf.constant([[1.0, 3.0, 3.0], [-0.0, 0.0, -1.0]]))
    assert index.dtype == tf.int32
    np.testing.assert_array_equal(index, [1, 0])


def test_of_equal_largest_values_the_first_is_named():
    value, index = largest(tf.constant([[1.0, 3.0, 3.0], [-0.0, 0.0, -1.0]]))
    assert index.dtype == tf.int32
    np.testing.assert_array_equal(value, [[3.0], [0.0]])
    np.testing.assert_array_equal(index, [[1], [0]])
