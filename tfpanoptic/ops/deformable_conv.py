"""Convolution whose taps are read at places of their own in every cell."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.ops.scatter import add_rows


class Corners(NamedTuple):
    """The four cells around each place at which a tap is read, R = B * H * W places.

    Attributes:
        cells: four of int32 `[R]`, rows of the table of all cells.
        shares: four of float32 `[R]`, weight of each in the interpolation; 0 outside of the map.
        down, across: four of float32 `[R]`, how each share changes when the place moves down, or to the right.
    """

    cells: list
    shares: list
    down: list
    across: list


def deformable_conv(x, offset, kernel, dilation: int = 1):
    """Deformable convolution, version 1, of stride 1 with one group of offsets: [B, H, W, C] -> [B, H, W, F].

    Tap (i, j) of a k x k kernel is read at (y + (i - k // 2) * dilation + dy, x + (j - k // 2) * dilation + dx), by
    bilinear interpolation between cells; cells outside the map count as 0.

    The taps are read, multiplied and summed in a loop, and read again for the gradient: memory holds one of them at a
    time, and the graph does not grow with the kernel.

    Args:
        x: float [B, H, W, C].
        offset: float32 [B, H, W, 2 * k * k], in cells; channel 2 * (i * k + j) is dy of tap (i, j), the next one dx.
        kernel: float [k, k, C, F], k odd.
        dilation: distance of the taps.

    Returns:
        [B, H, W, F] in the dtype of `x`; read and summed in float32, multiplied in the dtype of `x`.

    Source: Dai et al. 2017, section 2.1; UPSNet `operators/modules/deform_conv.py`. On a line of cells, where the
    interpolation bends, the gradient is that of the cell below and to the right, as there.
    """

    @ops.custom_gradient
    def convolve(x, offset, taps):
        def gradient(*args, upstream=None):
            return _gradients(x, offset, taps, dilation, args[0] if upstream is None else upstream)

        return _convolved(x, offset, taps, dilation), gradient

    # A tensor, even of a variable, which a gradient of one's own could not take.
    return convolve(x, offset, ops.reshape(kernel, (-1, *kernel.shape[2:])))


def _convolved(x, offset, taps, dilation: int):
    batch, height, width, channels = ops.shape(x)
    count, _, filters = taps.shape
    table = ops.reshape(ops.cast(x, "float32"), (-1, channels))
    weights = ops.cast(taps, x.dtype)

    def add_tap(tap, total):
        sampled = ops.cast(_sampled(table, _corners(offset, tap, math.isqrt(count), dilation)), x.dtype)
        return tap + 1, total + ops.cast(ops.matmul(sampled, ops.take(weights, tap, axis=0)), "float32")

    start = (ops.convert_to_tensor(0, "int32"), ops.zeros((batch * height * width, filters), "float32"))
    _, total = ops.while_loop(lambda tap, _: tap < count, add_tap, start)
    return ops.cast(ops.reshape(total, (batch, height, width, filters)), x.dtype)


def _gradients(x, offset, taps, dilation: int, upstream) -> tuple:
    """Gradients of the convolution in `x`, `offset` and `taps`."""
    batch, height, width, channels = ops.shape(x)
    count, _, filters = taps.shape
    table = ops.reshape(ops.cast(x, "float32"), (-1, channels))
    weights = ops.cast(taps, "float32")
    upstream = ops.reshape(ops.cast(upstream, "float32"), (-1, filters))
    place = ops.reshape(ops.arange(count, dtype="int32"), (-1, 1, 1))

    def add_tap(tap, of_table, of_offset, of_taps):
        corners = _corners(offset, tap, math.isqrt(count), dilation)
        of_sample = ops.matmul(upstream, ops.transpose(ops.take(weights, tap, axis=0)))  # [R, C]
        moved_down = moved_across = 0.0
        for cells, share, down, across in zip(*corners, strict=True):
            of_table = add_rows(of_table, cells, of_sample * ops.expand_dims(share, 1))
            gain = ops.sum(of_sample * ops.take(table, cells, axis=0), axis=1)
            moved_down, moved_across = moved_down + gain * down, moved_across + gain * across
        here = place == tap
        of_offset = ops.where(here, ops.stack([moved_down, moved_across], axis=1), of_offset)
        of_tap = ops.matmul(ops.transpose(_sampled(table, corners)), upstream)
        return tap + 1, of_table, of_offset, ops.where(here, of_tap, of_taps)

    start = (
        ops.convert_to_tensor(0, "int32"),
        ops.zeros_like(table),
        ops.zeros((count, batch * height * width, 2), "float32"),
        ops.zeros_like(weights),
    )
    _, of_table, of_offset, of_taps = ops.while_loop(lambda tap, *_: tap < count, add_tap, start)
    of_offset = ops.reshape(ops.transpose(of_offset, (1, 0, 2)), (batch, height, width, 2 * count))
    return (
        ops.cast(ops.reshape(of_table, (batch, height, width, channels)), x.dtype),
        ops.cast(of_offset, offset.dtype),
        ops.cast(of_taps, taps.dtype),
    )


def _sampled(table, corners: Corners):
    """What a tap reads in each cell, float32 [R, C]."""
    total: Any = 0.0
    for cells, share in zip(corners.cells, corners.shares, strict=True):
        total = total + ops.take(table, cells, axis=0) * ops.expand_dims(share, 1)
    return total


def _corners(offset, tap, side: int, dilation: int) -> Corners:
    """The cells around the places of one tap, a scalar int32 tensor."""
    batch, height, width, _ = ops.shape(offset)
    moved = ops.cast(ops.take(ops.reshape(offset, (batch, height, width, -1, 2)), tap, axis=3), "float32")
    rows = ops.reshape(ops.arange(height, dtype="int32"), (1, -1, 1)) + (tap // side - side // 2) * dilation
    columns = ops.reshape(ops.arange(width, dtype="int32"), (1, 1, -1)) + (tap % side - side // 2) * dilation
    y, x = moved[..., 0] + ops.cast(rows, "float32"), moved[..., 1] + ops.cast(columns, "float32")
    # One cell beyond the map all corners are outside already, and no place is too far for int32.
    near_y, near_x = _between(y, -1, height), _between(x, -1, width)
    # A place that was cut does not move.
    moves = ops.logical_and(near_y == y, near_x == x)
    top, left = ops.floor(near_y), ops.floor(near_x)
    image = ops.reshape(ops.arange(batch, dtype="int32") * height, (-1, 1, 1))
    made: Corners = Corners([], [], [], [])
    for lower, right in itertools.product((0.0, 1.0), (0.0, 1.0)):
        row, column = top + lower, left + right
        inside_row, inside_column = _between(row, 0, height - 1), _between(column, 0, width - 1)
        counts = ops.logical_and(row == inside_row, column == inside_column)
        cell = (image + ops.cast(inside_row, "int32")) * width + ops.cast(inside_column, "int32")
        of_row, of_column = 1.0 - ops.abs(near_y - row), 1.0 - ops.abs(near_x - column)
        shares = (
            ops.where(counts, of_row * of_column, 0.0),
            ops.where(ops.logical_and(counts, moves), (2.0 * lower - 1.0) * of_column, 0.0),
            ops.where(ops.logical_and(counts, moves), (2.0 * right - 1.0) * of_row, 0.0),
        )
        for values, value in zip(made, (cell, *shares), strict=True):
            values.append(ops.reshape(value, (-1,)))
    return made


def _between(x, low, high):
    """`x` cut to low..high; the ends may be int32 scalars."""
    return ops.minimum(ops.maximum(x, ops.cast(low, "float32")), ops.cast(high, "float32"))
