"""Convolution whose taps are read at places of their own in every cell."""

from __future__ import annotations

import contextlib
import itertools

import keras
from keras import ops


def deformable_conv(x, offset, kernel, dilation: int = 1):
    """Deformable convolution, version 1, of stride 1 with one group of offsets: [B, H, W, C] -> [B, H, W, F].

    Tap (i, j) of a k x k kernel is read at (y + (i - k // 2) * dilation + dy, x + (j - k // 2) * dilation + dx), by
    bilinear interpolation between cells; cells outside the map count as 0.

    The taps are read, multiplied and summed one after the other, and read again for the gradient, so that memory holds
    one of them at a time and not k * k.

    Args:
        x: float [B, H, W, C].
        offset: float32 [B, H, W, 2 * k * k], in cells; channel 2 * (i * k + j) is dy of tap (i, j), the next one dx.
        kernel: float [k, k, C, F], k odd.
        dilation: distance of the taps.

    Returns:
        [B, H, W, F] in the dtype of `x`; read and summed in float32, multiplied in the dtype of `x`.

    Source: Dai et al. 2017, section 2.1; UPSNet `operators/modules/deform_conv.py`.
    """
    height, width = ops.shape(x)[1:3]
    side = kernel.shape[0]
    values, kernel = ops.cast(x, "float32"), ops.cast(kernel, x.dtype)
    rows = ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1))
    columns = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1))

    @keras.remat
    def product_of_tap(values, at_y, at_x, weights):
        sampled = ops.cast(_bilinear(values, at_y, at_x), weights.dtype)
        # The gradient of `values` passes from tap to tap: the backward pass goes one by one, too.
        return values, ops.cast(ops.matmul(sampled, weights), "float32")

    total = ops.zeros((), "float32")
    for tap, (i, j) in enumerate(itertools.product(range(side), range(side))):
        with _after(total):
            at_y = offset[..., 2 * tap] + (rows + float((i - side // 2) * dilation))
            at_x = offset[..., 2 * tap + 1] + (columns + float((j - side // 2) * dilation))
        values, product = product_of_tap(values, at_y, at_x, kernel[i, j])
        total = total + product
    return ops.cast(total, x.dtype)


def _bilinear(values, y, x):
    """Each image's map between its cells, float32 [B, H, W, C]; cells outside the map are 0.

    Args:
        values: float32 [B, H, W, C].
        y, x: float32 [B, H, W], places in cells.
    """
    batch, height, width, channels = ops.shape(values)
    values = ops.reshape(values, (-1, channels))  # [B * H * W, C]
    # One cell beyond the map all corners are outside already, and no place is too far for int32.
    y, x = _between(y, -1, height), _between(x, -1, width)
    top, left = ops.floor(y), ops.floor(x)
    image = ops.reshape(ops.arange(batch, dtype="int32") * height, (-1, 1, 1))
    total = 0.0
    for row, column in itertools.product((top, top + 1.0), (left, left + 1.0)):
        share = (1.0 - ops.abs(y - row)) * (1.0 - ops.abs(x - column))
        inside_row, inside_column = _between(row, 0, height - 1), _between(column, 0, width - 1)
        share = ops.where(ops.logical_and(row == inside_row, column == inside_column), share, 0.0)
        cell = (image + ops.cast(inside_row, "int32")) * width + ops.cast(inside_column, "int32")
        total = total + ops.take(values, cell, axis=0) * ops.expand_dims(share, -1)
    return total


def _between(x, low, high):
    """`x` cut to low..high; the ends may be int32 scalars."""
    return ops.minimum(ops.maximum(x, ops.cast(low, "float32")), ops.cast(high, "float32"))


def _after(tensor):
    """A context whose operations wait for `tensor` in TensorFlow's graphs; XLA finds an order by itself."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.control_dependencies([tensor])
