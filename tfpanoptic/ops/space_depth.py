"""Blocks of cells as channels of one cell, and back: coarse maps that lose nothing of fine ones."""

from __future__ import annotations

from keras import ops


def space_to_depth(x, block: int):
    """The cells of each block one after another, `[B, ceil(h / block), ceil(w / block), block**2 * C]`.

    Row by row, the channels of a cell together. Zeros fill up blocks that reach over the bottom or the right.

    Args:
        x: float `[B, h, w, C]`.
        block: side of a block.
    """
    height, width, depth = ops.shape(x)[1:]
    rows, columns = -(-height // block), -(-width // block)
    if not all(isinstance(side, int) and side % block == 0 for side in (height, width)):
        margin = (0, block - 1)
        x = ops.pad(x, ((0, 0), margin, margin, (0, 0)))[:, : rows * block, : columns * block]
    x = ops.reshape(x, (-1, rows, block, columns, block, depth))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, block * block * depth))


def depth_to_space(x, block: int):
    """Each cell opened to a block of cells, the inverse, `[B, h * block, w * block, C]`.

    Args:
        x: float `[B, h, w, block**2 * C]`.
        block: side of a block.
    """
    rows, columns, depth = ops.shape(x)[1:]
    depth = depth // (block * block)
    x = ops.reshape(x, (-1, rows, columns, block, block, depth))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows * block, columns * block, depth))
