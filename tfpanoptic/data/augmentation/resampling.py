"""An image and its map at the rows and columns of a view."""

from __future__ import annotations

import tensorflow as tf


def nearest(coordinates: tf.Tensor) -> tf.Tensor:
    """Index of the nearest pixel, int32; of two equally near the later."""
    return tf.cast(tf.floor(coordinates + 0.5), tf.int32)


def bilinear(image: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """float32 `[v, u, 3]`: the image interpolated at every (row, column)."""
    return _between(_between(image, rows, 0), columns, 1)


def _between(image: tf.Tensor, coordinates: tf.Tensor, axis: int) -> tf.Tensor:
    """The image interpolated along one axis."""
    below = tf.floor(coordinates)
    weight = tf.reshape(coordinates - below, (-1, 1, 1) if axis == 0 else (1, -1, 1))
    first = tf.cast(below, tf.int32)
    second = tf.minimum(first + 1, tf.shape(image)[axis] - 1)
    low = tf.cast(tf.gather(image, first, axis=axis), tf.float32)
    high = tf.cast(tf.gather(image, second, axis=axis), tf.float32)
    return low + (high - low) * weight
