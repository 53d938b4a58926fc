"""Where RoIAlign samples: windows of boxes on maps, taken tile by tile.

Along one axis the mean of the samples of a cell of the result is a weighted sum of map cells, and the two axes are
independent: the weight of a map cell is the product of its row's share and its column's. What lies under a box is read
once, in square tiles, and boxes that need equally many tiles are worked on together, in chunks.

Source: rules at the border and the sampling of Detectron2's `ROIAlign`; levels by Lin et al. 2017 (FPN), equation 1.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import ops

# Samples along an axis that can touch a line of cells where their number follows the size: they are more than half a
# cell apart then. A fixed number may lie between two lines as a whole.
TOUCHING = 6
# A square of this side goes to the level of stride 16.
CANONICAL_SIDE, CANONICAL_STRIDE = 224.0, 16


class Windows(NamedTuple):
    """Where each of R boxes samples its level, one array an attribute.

    Attributes:
        base: int32 `[R]`, first row of its level and image in the table of all cells.
        grid: int32 `[R, 2]`, (h, w) of its level.
        first: float32 `[R, 2]`, where cell 0 of the result begins, in cells of the level.
        cell: float32 `[R, 2]`, sides of one cell of the result.
        samples: int32 `[R, 2]`, samples of one cell of the result, along each axis.
        low: int32 `[R, 2]`, first row and column of the level that are touched.
        tiles: int32 `[R, 2]`, tiles that cover what is touched.
    """

    base: Any
    grid: Any
    first: Any
    cell: Any
    samples: Any
    low: Any
    tiles: Any


class Tile(NamedTuple):
    """One tile of each window of a chunk.

    Attributes:
        down: float32 `[R, size, side]`, share of each row of the tile in each row of the result.
        across: float32 `[R, size, side]`, the same for columns.
        cells: int32 `[R, side * side]`, rows of the table of all cells.
    """

    down: Any
    across: Any
    cells: Any


def windows_of_boxes(
    shapes: list, strides: tuple[int, ...], boxes, size: int, sampling_ratio: int, aligned: bool, side: int
) -> Windows:
    """The windows of all boxes of a batch, R = B * N.

    Args:
        shapes: (B, h, w) of each level.
        strides: of each level in pixels, from fine to coarse.
        boxes: float32 `[B, N, 4]` in pixels.
        size: side of the result.
        sampling_ratio: samples of a cell of the result along each axis; 0 takes as many as it has level cells, rounded
            up.
        aligned: whether values stand for the middle of their cells; without, sides are at least one cell.
        side: of a tile.
    """
    batch, count = ops.shape(boxes)[:2]
    level = ops.reshape(level_of_boxes(boxes, strides), (-1,))
    boxes = ops.reshape(boxes, (-1, 4))
    image = ops.arange(batch * count, dtype="int32") // count
    grids, starts, start = [], [], 0
    for _, height, width in shapes:
        grids.append(ops.cast(ops.stack([height, width]), "int32"))
        starts.append(ops.cast(start, "int32"))
        start = start + batch * height * width
    grid = ops.take(ops.stack(grids), level, axis=0)
    base = ops.take(ops.stack(starts), level, axis=0) + image * grid[:, 0] * grid[:, 1]

    scale = ops.take(ops.convert_to_tensor([1.0 / stride for stride in strides], "float32"), level, axis=0)
    scaled = boxes * ops.expand_dims(scale, 1) - (0.5 if aligned else 0.0)
    sides = scaled[:, 2:] - scaled[:, :2]
    if not aligned:
        sides = ops.maximum(sides, 1.0)
    cell = sides / size
    samples = ops.ceil(cell) if sampling_ratio == 0 else ops.full_like(cell, float(sampling_ratio))
    half_step = 0.5 * cell / ops.maximum(samples, 1.0)
    limit = ops.cast(grid - 1, "float32")
    low = ops.clip(ops.floor(scaled[:, :2] + half_step), 0.0, limit)
    high = ops.clip(ops.floor(scaled[:, :2] + sides - half_step) + 1.0, 0.0, limit)
    low, high = ops.cast(low, "int32"), ops.cast(high, "int32")
    return Windows(base, grid, scaled[:, :2], cell, ops.cast(samples, "int32"), low, (high - low) // side + 1)


def level_of_boxes(boxes, strides: tuple[int, ...]):
    """Index of the level that fits each box, int32 `[B, N]`: a box twice as large goes one level up.

    Args:
        boxes: float32 `[B, N, 4]` in pixels.
        strides: of each level, each twice the one before.

    Source: Lin et al. 2017, equation 1, with the guard of Detectron2 `modeling/poolers.py`.
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    side = ops.sqrt(ops.maximum(sides[..., 0] * sides[..., 1], 0.0))
    level = ops.floor(math.log2(CANONICAL_STRIDE) + ops.log2(side / CANONICAL_SIDE + 1e-8))
    finest, coarsest = math.log2(strides[0]), math.log2(strides[-1])
    return ops.cast(ops.clip(level, finest, coarsest) - finest, "int32")


def by_tiles(windows: Windows) -> tuple[Windows, Any]:
    """The windows in the order of their number of tiles, and that order, int32 `[R]`."""
    order = ops.argsort(windows.tiles[:, 0] * windows.tiles[:, 1])
    return Windows(*(ops.take(values, order, axis=0) for values in windows)), order


def chunks_of(windows: Windows, together: int) -> tuple[Any, Any, Any]:
    """Number of windows, windows of a chunk (at most `together`), and number of chunks."""
    count = ops.shape(windows.base)[0]
    if isinstance(count, int):
        together = max(1, min(together, count))
    return count, together, (count + together - 1) // together


def chunk_of(windows: Windows, index, together: int) -> Windows:
    """The windows of one chunk; the last chunk repeats the last window."""
    rows = ops.minimum(index * together + ops.arange(together, dtype="int32"), ops.shape(windows.base)[0] - 1)
    return Windows(*(ops.take(values, rows, axis=0) for values in windows))


def over_tiles(chunk: Windows, add_tile, start):
    """`add_tile` (tile, state) -> state over as many tiles as the largest window of a chunk has; the last state."""
    most = ops.max(chunk.tiles[:, 0] * chunk.tiles[:, 1])

    def step(tile, state):
        return tile + 1, add_tile(tile, state)

    return ops.while_loop(lambda tile, _: tile < most, step, (ops.convert_to_tensor(0, "int32"), start))[1]


def tile_of(chunk: Windows, tile, size: int, side: int, sampling_ratio: int) -> Tile:
    """One tile of each window, tiles counted row by row; its shares are 0 where a window has fewer.

    Args:
        tile: its number, a scalar int32 tensor.
        size, side, sampling_ratio: as in `windows_of_boxes`.
    """
    across = chunk.tiles[:, 1]
    place = ops.stack([tile // across, tile % across], axis=1)  # [R, 2]
    lines = ops.expand_dims(chunk.low + side * place, 2) + ops.arange(side, dtype="int32")  # [R, 2, side]
    shares = _shares(chunk, lines, size, max(TOUCHING, sampling_ratio))
    inside = ops.minimum(lines, ops.expand_dims(chunk.grid - 1, 2))
    rows = ops.expand_dims(chunk.base, 1) + inside[:, 0] * chunk.grid[:, 1:]
    cells = ops.expand_dims(rows, 2) + ops.expand_dims(inside[:, 1], 1)
    return Tile(shares[:, 0], shares[:, 1], ops.reshape(cells, (-1, side * side)))


def _shares(chunk: Windows, lines, size: int, touching: int):
    """Share of each row and column of the level in each one of the result, float32 `[R, 2, size, K]`.

    Args:
        lines: int32 `[R, 2, K]`, rows and columns.
        touching: samples of a cell of the result that can touch a line, at most.
    """

    def spread(values):
        return ops.reshape(ops.cast(values, "float32"), (-1, 2, 1, 1, 1))

    number, first, cell, last = (spread(x) for x in (chunk.samples, chunk.first, chunk.cell, chunk.grid - 1))
    count = ops.maximum(number, 1.0)
    step = ops.maximum(cell / count, 1e-6)
    start = first + cell * ops.reshape(ops.arange(size, dtype="float32"), (1, 1, -1, 1, 1)) + 0.5 * step
    lines = ops.cast(ops.expand_dims(ops.expand_dims(lines, 2), 4), "float32")  # [R, 2, 1, K, 1]
    # The samples from one line before on; those that do not touch the line get 0.
    sample = ops.maximum(ops.floor((lines - 1.0 - start) / step), 0.0) + ops.arange(touching, dtype="float32")
    at = start + sample * step
    taken = ops.logical_and(sample < number, ops.logical_and(at >= -1.0, at <= last + 1.0))
    near = ops.maximum(1.0 - ops.abs(ops.clip(at, 0.0, last) - lines), 0.0)
    return ops.sum(ops.where(taken, near / count, 0.0), axis=-1)
