"""RoIAlign over a feature pyramid: features of boxes of any size on a fixed grid, without rounding.

Each cell of the result is the mean of a grid of samples, each interpolated between four cells of the features. It is
computed as one product with the features under the box, which are read once (`ops/roi_windows.py`), so the sampling may
be as dense as the definition asks for, which is where methods that read every sample slow down.

Source: He et al. 2017 (Mask R-CNN), section 3, in the form of Detectron2's `ROIAlign` and `ROIPooler`.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.chunks import map_chunks
from tfpanoptic.ops.roi_windows import Windows, by_tiles, chunk_of, chunks_of, over_tiles, tile_of, windows_of_boxes
from tfpanoptic.ops.scatter import add_rows

# Side of a tile, and boxes that are worked on together. Own choice: 2 MB of features of 256 channels, which stay in
# the cache. The gradient's table is as large as all features and TensorFlow copies it for every tile, so it takes more.
SIDE = 8
TOGETHER = 32
TOGETHER_BACKWARD = 128


def roi_align(levels: list, strides: tuple[int, ...], boxes, size: int, sampling_ratio: int = 0, aligned: bool = True):
    """Features of boxes, each from the level that fits its size; differentiable in the features.

    Args:
        levels: features `[B, h, w, C]` of each level, from fine to coarse.
        strides: of each level in pixels; each twice the one before.
        boxes: float32 `[B, N, 4]` in pixels. Samples more than a cell outside of the features are 0.
        size: side of the result.
        sampling_ratio: samples of a cell of the result along each axis; 0 takes as many as it has feature cells,
            rounded up.
        aligned: whether features stand for the middle of their cells (Detectron2). Without, as in Mask R-CNN's first
            form, for the corner, and boxes have sides of at least one cell.

    Returns:
        float32 `[B, N, size, size, C]`. No gradient flows to the boxes.
    """
    depth = levels[0].shape[-1]
    shapes = [ops.shape(level) for level in levels]
    grids = [shape[:3] for shape in shapes]
    boxes = ops.stop_gradient(boxes)
    windows, order = by_tiles(windows_of_boxes(grids, strides, boxes, size, sampling_ratio, aligned, SIDE))

    @ops.custom_gradient
    def pool(*levels):
        table = ops.concatenate([ops.reshape(ops.cast(level, "float32"), (-1, depth)) for level in levels], axis=0)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            rows = sum(batch * height * width for batch, height, width in grids)
            table = _unpooled(windows, ops.reshape(upstream, (-1, size * size, depth)), rows, size, sampling_ratio)
            return _split(table, levels, shapes)

        return _pooled(table, windows, size, sampling_ratio), gradient

    pooled = ops.take(pool(*levels), ops.argsort(order), axis=0)
    return ops.reshape(pooled, (*ops.shape(boxes)[:2], size, size, depth))


def _pooled(table, windows: Windows, size: int, sampling_ratio: int):
    """The features of all windows, float32 `[R, size * size * C]`.

    Args:
        table: float32 `[cells, C]`, all levels of all images.
    """
    depth = table.shape[-1]
    count, together, chunks = chunks_of(windows, TOGETHER)

    def pool_chunk(index):
        chunk = chunk_of(windows, index, together)

        def add_tile(tile, total):
            shares, cells = _outer(tile_of(chunk, tile, size, SIDE, sampling_ratio), size)
            features = ops.reshape(ops.take(table, ops.reshape(cells, (-1,)), axis=0), (together, SIDE * SIDE, depth))
            return total + ops.matmul(shares, features)

        return over_tiles(chunk, add_tile, ops.zeros((together, size * size, depth), "float32"))

    pooled = map_chunks(pool_chunk, ops.arange(chunks, dtype="int32"))
    return ops.reshape(pooled, (chunks * together, size * size * depth))[:count]


def _unpooled(windows: Windows, upstream, rows, size: int, sampling_ratio: int):
    """The gradient of `_pooled` in the table, float32 `[rows, C]`.

    Args:
        upstream: float32 `[R, size * size, C]`.
        rows: of the table.
    """
    depth = upstream.shape[-1]
    count, together, chunks = chunks_of(windows, TOGETHER_BACKWARD)
    # The window that the last chunk repeats counts once.
    upstream = ops.pad(upstream, ((0, chunks * together - count), (0, 0), (0, 0)))

    def add_chunk(index, table):
        chunk = chunk_of(windows, index, together)
        ours = ops.take(upstream, index * together + ops.arange(together, dtype="int32"), axis=0)

        def add_tile(tile, table):
            shares, cells = _outer(tile_of(chunk, tile, size, SIDE, sampling_ratio), size)
            gradient = ops.matmul(ops.transpose(shares, (0, 2, 1)), ours)
            return add_rows(table, ops.reshape(cells, (-1,)), ops.reshape(gradient, (-1, depth)))

        return index + 1, over_tiles(chunk, add_tile, table)

    start = (ops.convert_to_tensor(0, "int32"), ops.zeros((rows, depth), "float32"))
    return ops.while_loop(lambda index, _: index < chunks, add_chunk, start)[1]


def _outer(tile, size: int):
    """Share of each cell of a tile in each cell of the result, float32 `[R, size * size, side * side]`; the cells."""
    down = ops.reshape(tile.down, (-1, size, 1, SIDE, 1))
    across = ops.reshape(tile.across, (-1, 1, size, 1, SIDE))
    return ops.reshape(down * across, (-1, size * size, SIDE * SIDE)), tile.cells


def _split(table, levels, shapes: list) -> list:
    """The table's part of each level, in its shape and dtype."""
    parts, start = [], 0
    for level, shape in zip(levels, shapes, strict=True):
        batch, height, width, _ = shape
        stop = start + batch * height * width
        parts.append(ops.cast(ops.reshape(table[start:stop], shape), level.dtype))
        start = stop
    return parts
