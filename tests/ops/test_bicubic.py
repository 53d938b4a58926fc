"""Matrices of bicubic resizing."""

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.bicubic import bicubic_matrix


@pytest.mark.parametrize(("source", "target"), [(37, 40), (37, 20), (10, 7), (14, 16), (5, 1), (3, 64)])
def test_rows_are_those_of_tensorflow_with_its_filter(source, target):
    lines = np.eye(source, dtype="float32")[None, :, :, None]  # one impulse a column
    expected = tf.image.resize(lines, (target, source), "bicubic", antialias=True)[0, :, :, 0]
    np.testing.assert_allclose(bicubic_matrix(source, target), expected, atol=5e-6)


def test_an_axis_that_keeps_its_length_keeps_its_values():
    np.testing.assert_array_equal(bicubic_matrix(40, 40), np.eye(40))
    np.testing.assert_array_equal(bicubic_matrix(tf.constant(7), tf.constant(7)), np.eye(7))
