"""An image and its map at the rows and columns of a view."""

from __future__ import annotations

import tensorflow as tf

from tfpanoptic.compiled import compiled, roomy


def view(
    image: tf.Tensor, panoptic: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, crop: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """What is at every (row, column) of an image, interpolated, and of its map, the nearest.

    Args:
        image: uint8 or float32 `[H, W, 3]`.
        panoptic: int32 `[H, W]`.
        rows, columns: float32 `[v]` and `[u]`, coordinates within the image, in any order.
        crop: (height, width), v and u at least.

    Returns:
        float32 `[*crop, 3]` and int32 `crop`, 0 beyond v and u.
    """
    axes = [_part(coordinates, tf.shape(panoptic)[axis]) for axis, coordinates in enumerate((rows, columns))]
    begin, length = (tf.stack([part[i] for part in axes]) for i in (1, 2))
    missing = [[0, roomy(part[2]) - part[2]] for part in axes]
    pieces = [
        tf.pad(tf.slice(values, tf.concat([begin, [0] * more], 0), tf.concat([length, [-1] * more], 0)), paddings)
        for values, more, paddings in ((image, 1, [*missing, [0, 0]]), (panoptic, 0, missing))
    ]
    places = [
        tf.ensure_shape(tf.pad(part[0], [[0, size - tf.size(part[0])]]), (size,))
        for part, size in zip(axes, crop, strict=True)
    ]
    valid = tf.stack([tf.size(rows), tf.size(columns)])
    colors, labels = _sampled(*pieces, *places, length - 1, valid, pixels=crop[0] * crop[1])
    return tf.ensure_shape(colors, (*crop, 3)), tf.ensure_shape(labels, crop)


def _part(coordinates: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Coordinates from the first pixel that they need, which pixel that is, and how many they need, int32 []."""
    first = tf.cast(tf.floor(tf.reduce_min(coordinates)), tf.int32)
    end = tf.minimum(tf.cast(tf.floor(tf.reduce_max(coordinates)), tf.int32) + 2, length)
    return coordinates - tf.cast(first, tf.float32), first, end - first


@compiled
def _sampled(
    image: tf.Tensor, panoptic: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, last: tf.Tensor, valid: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """As `view`, of padded parts; `last` is the last pixel of both axes, `valid` how many coordinates count."""
    inside = (tf.range(tf.size(rows))[:, None] < valid[0]) & (tf.range(tf.size(columns)) < valid[1])
    pixels = _between(_between(image, rows, last[0], 0), columns, last[1], 1)
    labels = tf.gather(tf.gather(panoptic, nearest(rows)), nearest(columns), axis=1)
    return tf.where(inside[..., None], pixels, 0.0), tf.where(inside, labels, 0)


def padded(values: tf.Tensor, crop: tuple[int, int]) -> tf.Tensor:
    """A view, `[h, w, ...]`, on a canvas of the crop's size; 0 below and to the right of it."""
    height, width = tf.unstack(tf.shape(values)[:2])
    rest = [[0, 0]] * (len(values.shape) - 2)
    canvas = tf.pad(values, [[0, crop[0] - height], [0, crop[1] - width], *rest])
    return tf.ensure_shape(canvas, (*crop, *values.shape[2:]))


def nearest(coordinates: tf.Tensor) -> tf.Tensor:
    """Index of the nearest pixel, int32; of two equally near the later."""
    return tf.cast(tf.floor(coordinates + 0.5), tf.int32)


def _between(image: tf.Tensor, coordinates: tf.Tensor, last: tf.Tensor, axis: int) -> tf.Tensor:
    """The image interpolated along one axis, whose last pixel is `last`."""
    below = tf.floor(coordinates)
    weight = tf.reshape(coordinates - below, (-1, 1, 1) if axis == 0 else (1, -1, 1))
    first = tf.cast(below, tf.int32)
    second = tf.minimum(first + 1, last)
    low = tf.cast(tf.gather(image, first, axis=axis), tf.float32)
    high = tf.cast(tf.gather(image, second, axis=axis), tf.float32)
    return low + (high - low) * weight
