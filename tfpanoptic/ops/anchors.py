"""Anchors: the boxes that a region proposal network starts from.

Source: Lin et al. 2017 (FPN), section 4.1; Detectron2 `modeling/anchor_generator.py`: the centre of an anchor is the
top-left corner of its cell, and coordinates are continuous.
"""

from __future__ import annotations

import numpy as np
from keras import ops


def grid_anchors(grid, stride: int, size: float, ratios: tuple[float, ...]):
    """The anchors of one level, float32 `[h * w * A, 4]`, in the order of row, column, ratio.

    Args:
        grid: (h, w) of the level, integers or scalar tensors.
        stride: pixels a cell.
        size: side of the square anchor in pixels; all have its area.
        ratios: height over width of each of the A anchors of a cell.
    """
    cell = _cell_anchors(size, ratios)
    rows, columns = (ops.arange(side, dtype="float32") * float(stride) for side in grid)
    y = ops.reshape(rows, (-1, 1, 1))
    x = ops.reshape(columns, (1, -1, 1))
    sides = [y + cell[:, 0] + 0.0 * x, x + cell[:, 1] + 0.0 * y, y + cell[:, 2] + 0.0 * x, x + cell[:, 3] + 0.0 * y]
    return ops.reshape(ops.stack(sides, axis=-1), (-1, 4))


def _cell_anchors(size: float, ratios: tuple[float, ...]) -> np.ndarray:
    """The anchors about the origin, float32 `[A, 4]`."""
    width = np.sqrt(size**2 / np.asarray(ratios))
    height = np.asarray(ratios) * width
    return np.stack([-height / 2, -width / 2, height / 2, width / 2], axis=1).astype(np.float32)
