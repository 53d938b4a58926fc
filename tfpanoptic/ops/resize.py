"""Resizing with aligned corners or half-pixel centres, to sizes that may be known only at run time.

Aligned corners put output cell i of n at i * (in - 1) / (n - 1), half-pixel centres at
(i + 0.5) * in / n - 0.5. `keras.ops.image.resize` knows only the second and refuses sizes that are
tensors, so both rules are written out here.
"""

from __future__ import annotations

import keras
from keras import ops


def resize_bilinear(x, size, align_corners: bool):
    """Maps enlarged or shrunk to `size` by bilinear interpolation, without antialiasing.

    Args:
        x: float [B, h, w, C].
        size: (H, W), two integers or two scalar int32 tensors.
        align_corners: True for aligned corners, False for half-pixel centres.

    Returns:
        [B, H, W, C] in the dtype of `x`; interpolated in float32.
    """
    values = ops.cast(x, "float32")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        resized = tf.raw_ops.ResizeBilinear(
            images=values,
            size=tf.stack([tf.cast(side, tf.int32) for side in size]),
            align_corners=align_corners,
            half_pixel_centers=not align_corners,
        )
    else:
        resized = _interpolate(values, size[0], 1, align_corners)
        resized = _interpolate(resized, size[1], 2, align_corners)
    return ops.cast(resized, x.dtype)


def resize_bilinear_part(x, part, size):
    """The top-left part of maps, enlarged or shrunk to `size` with half-pixel centres; nothing outside is read.

    Args:
        x: float [B, h, w, C].
        part: (height, width) of the part, the same for the whole batch.
        size: (H, W), two integers or two scalar int32 tensors.

    Returns:
        [B, H, W, C] in the dtype of `x`; interpolated in float32.
    """
    if keras.backend.backend() == "tensorflow":
        return resize_bilinear(x[:, : part[0], : part[1]], size, align_corners=False)
    values = ops.cast(x, "float32")
    for axis in (1, 2):
        at = source_positions(size[axis - 1], part[axis - 1], align_corners=False)
        # The slice of a part whose size is a tensor is no fixed shape: other backends read within it instead.
        values = interpolate_lines(values, ops.clip(at, 0.0, ops.cast(part[axis - 1] - 1, "float32")), axis)
    return ops.cast(values, x.dtype)


def _interpolate(x, length, axis: int, align_corners: bool):
    """`x` [B, h, w, C] with `length` cells along `axis` (1 or 2), each between its two neighbours."""
    old = ops.shape(x)[axis]
    at = ops.clip(source_positions(length, old, align_corners), 0.0, ops.cast(old - 1, "float32"))
    return interpolate_lines(x, at, axis)


def interpolate_lines(x, at, axis: int):
    """Rows or columns of maps, each between its two neighbours.

    Args:
        x: float32 [B, h, w, C].
        at: float32 [n], coordinates of the rows or columns in cells, from 0 to the last.
        axis: 1 for rows, 2 for columns.

    Returns:
        float32 [B, n, w, C] or [B, h, n, C].
    """
    old = ops.shape(x)[axis]
    lower = ops.floor(at)
    shape = (1, -1, 1, 1) if axis == 1 else (1, 1, -1, 1)
    fraction = ops.reshape(at - lower, shape)
    lower = ops.cast(lower, "int32")
    upper = ops.minimum(lower + 1, old - 1)
    return ops.take(x, lower, axis=axis) * (1.0 - fraction) + ops.take(x, upper, axis=axis) * fraction


def source_positions(length, old, align_corners: bool):
    """float32 [length]: coordinates, in cells of an axis of `old` cells, of the cells of one of `length`."""
    return positions_on(ops.arange(length, dtype="float32"), length, old, align_corners)


def positions_on(i, length, old, align_corners: bool):
    """float32: coordinates, in cells of an axis of `old` cells, of points `i` of one of `length` cells."""
    old, length = ops.cast(old, "float32"), ops.cast(length, "float32")
    if align_corners:
        return i * ((old - 1.0) / ops.maximum(length - 1.0, 1.0))
    return (i + 0.5) * (old / length) - 0.5


def nearest_to_size(maps, valid_size, size, align_corners: bool):
    """The valid part of integer maps at `size`, by one nearest-index gather; no new value appears.

    Args:
        maps: int32 [B, H, W].
        valid_size: (height, width) of the top-left part to use, the same for the whole batch.
        size: (H', W') of the result.
        align_corners: True takes round(i * (in - 1) / (out - 1)), False floor((i + 0.5) * in / out).

    Returns:
        int32 [B, H', W'].
    """
    rows = _nearest(size[0], valid_size[0], align_corners)
    columns = _nearest(size[1], valid_size[1], align_corners)
    return ops.take(ops.take(maps, rows, axis=1), columns, axis=2)


def _nearest(length, old, align_corners: bool):
    """int32 [length]: nearest cell of an axis of `old` cells, in integers so that no rounding can slip."""
    i = ops.arange(length, dtype="int32")
    old, length = ops.cast(old, "int32"), ops.cast(length, "int32")
    if align_corners:
        # round(a / b) for a, b >= 0, halves up: floor((2a + b) / 2b).
        steps = ops.maximum(length - 1, 1)
        return (2 * i * (old - 1) + steps) // (2 * steps)
    return (2 * i + 1) * old // (2 * length)
