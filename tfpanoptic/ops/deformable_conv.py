"""Convolution whose taps are read at places of their own in every cell."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.ops.scatter import add_rows


class Places(NamedTuple):
    """The cells of some maps in one list of R, one array `[R]` an attribute.

    Attributes:
        row, column: float32, of the cell.
        height, width: float32, of its map.
        first: int32, place of the first cell of its map and image in the list.
    """

    row: Any
    column: Any
    height: Any
    width: Any
    first: Any


class Corners(NamedTuple):
    """The four cells around each of R places at which a tap is read.

    Attributes:
        cells: four of int32 `[R]`, rows of the list of all cells.
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
    return deformable_conv_of_maps([x], [offset], kernel, dilation)[0]


def deformable_conv_of_maps(maps: list, offsets: list, kernel, dilation: int = 1) -> list:
    """The same deformable convolution of maps of several sizes, in one loop over the taps.

    Args: as `deformable_conv`, a list of maps with the same number of channels and one of their offsets.
    """
    shapes = [ops.shape(x) for x in maps]
    places = _places(shapes)
    channels, count = kernel.shape[2], kernel.shape[0] * kernel.shape[1]

    @ops.custom_gradient
    def convolve(table, offset, taps):
        def gradient(*args, upstream=None):
            return _gradients(table, offset, taps, places, dilation, args[0] if upstream is None else upstream)

        return _convolved(table, offset, taps, places, dilation), gradient

    table = ops.concatenate([ops.reshape(x, (-1, channels)) for x in maps], axis=0)
    offset = ops.concatenate([ops.reshape(x, (-1, count, 2)) for x in offsets], axis=0)
    # A tensor, even of a variable, which a gradient of one's own could not take.
    result = convolve(table, ops.cast(offset, "float32"), ops.reshape(kernel, (count, *kernel.shape[2:])))
    parts, start = [], 0
    for batch, height, width, _ in shapes:
        stop = start + batch * height * width
        parts.append(ops.reshape(result[start:stop], (batch, height, width, kernel.shape[-1])))
        start = stop
    return parts


def _places(shapes: list) -> Places:
    """All cells of maps of these shapes, (B, H, W, C) each, in the order of their flattened maps."""
    parts, start = [], 0
    for batch, height, width, _ in shapes:
        cell = ops.arange(batch * height * width, dtype="int32")
        within = cell % (height * width)
        ones = ops.ones_like(ops.cast(cell, "float32"))
        row, column = ops.cast(within // width, "float32"), ops.cast(within % width, "float32")
        high, wide = (ones * ops.cast(side, "float32") for side in (height, width))
        parts.append(Places(row, column, high, wide, cell - within + start))
        start = start + batch * height * width
    return Places(*(ops.concatenate(values, axis=0) for values in zip(*parts, strict=True)))


def _convolved(table, offset, taps, places: Places, dilation: int):
    """[R, F] from the cells [R, C], offsets float32 [R, k * k, 2] and taps [k * k, C, F]."""
    count, _, filters = taps.shape
    values, weights = ops.cast(table, "float32"), ops.cast(taps, table.dtype)

    def add_tap(tap, total):
        sampled = _sampled(values, _corners(places, offset, tap, math.isqrt(count), dilation))
        product = ops.matmul(ops.cast(sampled, table.dtype), ops.take(weights, tap, axis=0))
        return tap + 1, total + ops.cast(product, "float32")

    start = (ops.convert_to_tensor(0, "int32"), ops.zeros((ops.shape(table)[0], filters), "float32"))
    _, total = ops.while_loop(lambda tap, _: tap < count, add_tap, start)
    return ops.cast(total, table.dtype)


def _gradients(table, offset, taps, places: Places, dilation: int, upstream) -> tuple:
    """Gradients of the convolution in `table`, `offset` and `taps`."""
    count = taps.shape[0]
    values, weights, upstream = (ops.cast(x, "float32") for x in (table, taps, upstream))
    number = ops.arange(count, dtype="int32")

    def add_tap(tap, of_table, of_offset, of_taps):
        corners = _corners(places, offset, tap, math.isqrt(count), dilation)
        of_sample = ops.matmul(upstream, ops.transpose(ops.take(weights, tap, axis=0)))  # [R, C]
        moved_down = moved_across = 0.0
        for cells, share, down, across in zip(*corners, strict=True):
            of_table = add_rows(of_table, cells, of_sample * ops.expand_dims(share, 1))
            gain = ops.sum(of_sample * ops.take(values, cells, axis=0), axis=1)
            moved_down, moved_across = moved_down + gain * down, moved_across + gain * across
        moved = ops.expand_dims(ops.stack([moved_down, moved_across], axis=1), 1)  # [R, 1, 2]
        of_offset = ops.where(ops.reshape(number == tap, (1, -1, 1)), moved, of_offset)
        of_tap = ops.matmul(ops.transpose(_sampled(values, corners)), upstream)
        return tap + 1, of_table, of_offset, ops.where(ops.reshape(number == tap, (-1, 1, 1)), of_tap, of_taps)

    start = (ops.convert_to_tensor(0, "int32"), *(ops.zeros_like(x) for x in (values, offset, weights)))
    _, of_table, of_offset, of_taps = ops.while_loop(lambda tap, *_: tap < count, add_tap, start)
    return ops.cast(of_table, table.dtype), of_offset, ops.cast(of_taps, taps.dtype)


def _sampled(values, corners: Corners):
    """What a tap reads in each cell, float32 [R, C]."""
    total: Any = 0.0
    for cells, share in zip(corners.cells, corners.shares, strict=True):
        total = total + ops.take(values, cells, axis=0) * ops.expand_dims(share, 1)
    return total


def _corners(places: Places, offset, tap, side: int, dilation: int) -> Corners:
    """The cells around the places of one tap, a scalar int32 tensor."""
    moved = ops.take(offset, tap, axis=1)  # [R, 2]
    down, right = ((step - side // 2) * dilation for step in (tap // side, tap % side))
    y = places.row + (moved[:, 0] + ops.cast(down, "float32"))
    x = places.column + (moved[:, 1] + ops.cast(right, "float32"))
    # One cell beyond the map all corners are outside already, and no place is too far for int32.
    near_y, near_x = ops.clip(y, -1.0, places.height), ops.clip(x, -1.0, places.width)
    # A place that was cut does not move.
    moves = ops.logical_and(near_y == y, near_x == x)
    top, left = ops.floor(near_y), ops.floor(near_x)
    made: Corners = Corners([], [], [], [])
    for lower, further in itertools.product((0.0, 1.0), (0.0, 1.0)):
        row, column = top + lower, left + further
        inside_row = ops.clip(row, 0.0, places.height - 1.0)
        inside_column = ops.clip(column, 0.0, places.width - 1.0)
        counts = ops.logical_and(row == inside_row, column == inside_column)
        # In float32 the product is exact for maps of up to 2**24 cells.
        cell = places.first + ops.cast(inside_row * places.width + inside_column, "int32")
        of_row, of_column = 1.0 - ops.abs(near_y - row), 1.0 - ops.abs(near_x - column)
        taught = ops.logical_and(counts, moves)
        values = (
            cell,
            ops.where(counts, of_row * of_column, 0.0),
            ops.where(taught, (2.0 * lower - 1.0) * of_column, 0.0),
            ops.where(taught, (2.0 * further - 1.0) * of_row, 0.0),
        )
        for part, value in zip(made, values, strict=True):
            part.append(value)
    return made
