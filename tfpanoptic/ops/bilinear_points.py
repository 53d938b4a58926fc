"""Maps at points between their cells: read there, or added to there, by bilinear shares."""

from __future__ import annotations

from keras import ops


def cell_positions(size):
    """(y, x) of every cell of a grid, row by row, float32 `[h * w, 2]`."""
    height, width = size
    cell = ops.arange(height * width, dtype="int32")
    return ops.cast(ops.stack([cell // width, cell % width], axis=-1), "float32")


def read_at(maps, points):
    """Values at points, float32 `[B, M, C]`; a point outside reads the nearest cells of the border.

    Args:
        maps: float32 `[B, h, w, C]`.
        points: float32 `[B, M, 2]`, (y, x) in cells.
    """
    height, width, depth = ops.shape(maps)[1:]
    flat = ops.reshape(maps, (-1, depth))
    # The last cell is read as the lower one of itself and a neighbour that has no share.
    shares = corners(points[..., 0], points[..., 1], (height, width), beyond=0)
    return sum(ops.take(flat, cell, axis=0) * ops.expand_dims(share, -1) for cell, share in shares)


def add_at(values, points, size):
    """Sums of the values that fall on each cell, float32 `[B, h, w]`; what falls outside is lost.

    A value is shared by the four cells around its point.

    Args:
        values: float32 `[B, M]`.
        points: float32 `[B, M, 2]`, (y, x) in cells.
        size: (h, w).
    """
    height, width = size
    cells = ops.shape(values)[0] * height * width
    total = sum(
        ops.segment_sum(ops.reshape(values * share, (-1,)), ops.reshape(cell, (-1,)), cells)
        for cell, share in corners(points[..., 0], points[..., 1], size, beyond=1)
    )
    return ops.reshape(total, (-1, height, width))


def corners(y, x, size, beyond: int):
    """The four cells around each point as rows of the table of all cells, int32 `[B, M]`, and its share in each.

    Args:
        y, x: float32 `[B, M]`, in cells.
        size: (h, w).
        beyond: points farther outside than so many cells are moved there; cells outside have a share of 0.
    """
    height, width = size
    image = ops.expand_dims(ops.arange(ops.shape(y)[0], dtype="int32"), 1)
    rows, columns = (_neighbours(at, side, beyond) for at, side in ((y, height), (x, width)))
    return [
        ((image * height + row) * width + column, down * across) for row, down in rows for column, across in columns
    ]


def _neighbours(at, side, beyond: int):
    """The cells before and after a coordinate, int32 in 0..side - 1, each with its share."""
    last = ops.cast(side - 1, "float32")
    at = ops.minimum(ops.maximum(at, -float(beyond)), last + beyond)
    first = ops.floor(at)
    found = []
    for cell, share in ((first, 1.0 - (at - first)), (first + 1.0, at - first)):
        inside = ops.logical_and(cell >= 0, cell <= last)
        cell = ops.cast(ops.minimum(ops.maximum(cell, 0.0), last), "int32")
        found.append((cell, ops.where(inside, share, 0.0)))
    return found
