"""Images of any size as network inputs, by the input-size policy; the same in training and every kind of use."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import Grid, padded_size, resized_size, resizes, scaled_side


def prepare_batch(images: Any, config: InputConfig, grid: Grid, scale: float = 1.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Images of one size as network input.

    Args:
        images: uint8 or float `[B, H, W, 3]`, RGB 0..255.
        config: the policy.
        grid: the architecture's.
        scale: the images have so many times the policy's size.

    Returns:
        float32 `[B, h, w, 3]`, the images in the top-left parts, 0 beyond, and int32 `[B, 2]`, (height, width) of
        those parts.
    """
    images = tf.cast(images, tf.float32)
    shape = tf.shape(images)
    size = tf.stack([scaled_side(side, scale, grid) for side in resized_size(shape[1], shape[2], config)])
    if resizes(config) or scale != 1:
        images = tf.raw_ops.ResizeBilinear(
            images=images, size=size, align_corners=grid.align_corners, half_pixel_centers=not grid.align_corners
        )
    bottom, right = tf.unstack(tf.stack(padded_size(size[0], size[1], config, grid, scale)) - size)
    images = tf.pad(images, [[0, 0], [0, bottom], [0, right], [0, 0]])
    return images, tf.tile(tf.expand_dims(size, 0), (shape[0], 1))


def prepare_labels(labels: Any, config: InputConfig, grid: Grid) -> tf.Tensor:
    """A map of labels on the grid of the prepared image; no label appears that was not there.

    Args:
        labels: int32 `[H, W]`.
        config: the policy.
        grid: the architecture's.

    Returns:
        int32 `[h, w]`, each pixel the nearest one of the file, 0 beyond the image.
    """
    labels = tf.convert_to_tensor(labels)
    height, width = tf.unstack(tf.shape(labels))
    size = tf.unstack(tf.stack(resized_size(height, width, config)))
    rows, columns = (
        _nearest(length, old, grid.align_corners) for length, old in zip(size, (height, width), strict=True)
    )
    resized = tf.gather(tf.gather(labels, rows), columns, axis=1)
    padding = [[0, whole - part] for whole, part in zip(padded_size(size[0], size[1], config, grid), size, strict=True)]
    return tf.pad(resized, padding)


def _nearest(length: tf.Tensor, old: tf.Tensor, align_corners: bool) -> tf.Tensor:
    """The pixel, of `old` ones, nearest to each of `length` ones, in integers; as `ops.resize.nearest_to_size`."""
    i = tf.range(length)
    if not align_corners:
        return (2 * i + 1) * old // (2 * length)
    steps = tf.maximum(length - 1, 1)
    return (2 * i * (old - 1) + steps) // (2 * steps)
