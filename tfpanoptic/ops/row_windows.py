"""Rows of cells cut into blocks, each with the window of cells around it."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

# Queries of a block, at least. A block as long as the reach meets half more keys than its queries see.
SMALLEST_BLOCK = 16


class Cut(NamedTuple):
    """How rows of `length` cells are cut into blocks of queries, each with the window of keys that it meets.

    Attributes:
        length: cells of a row; a tensor where the size is known only when the graph runs.
        block: queries of a block.
        blocks: of a row; the last one may reach beyond it.
        margin: cells of a window before and after its block.
        reach: the furthest key that a query sees; None for all of the row.
    """

    length: Any
    block: Any
    blocks: Any
    margin: int
    reach: int | None

    @property
    def window(self):
        """Keys of a window."""
        return self.block + 2 * self.margin

    @property
    def pairs(self):
        """Queries of a row, each with the keys of its window."""
        return self.blocks * self.block * self.window


def cut_rows(length, span: int | None) -> Cut:
    """The cut of rows for queries that see `span` cells, or all: one block where that has fewer pairs."""
    if span is None:
        return Cut(length, length, 1, 0, None)
    reach = span // 2
    block = max(reach, SMALLEST_BLOCK)
    blocks = (length + block - 1) // block
    if isinstance(length, int) and length * length <= blocks * block * (block + 2 * reach):
        return Cut(length, length, 1, 0, reach)
    return Cut(length, block, blocks, reach, reach)


def distances(cut: Cut):
    """Place of every key of a window less that of every query of its block, int32 [block, window]."""
    keys, queries = ops.arange(cut.window, dtype="int32"), ops.arange(cut.block, dtype="int32")
    return ops.expand_dims(keys - cut.margin, 0) - ops.expand_dims(queries, 1)


def seen(cut: Cut):
    """Whether a query sees a key, bool [blocks, block, window]; None where every query sees all keys."""
    if cut.reach is None:
        return None
    starts = ops.arange(cut.blocks, dtype="int32") * cut.block
    queries = ops.reshape(starts, (-1, 1, 1)) + ops.reshape(ops.arange(cut.block, dtype="int32"), (1, -1, 1))
    distance = ops.expand_dims(distances(cut), 0)
    keys = queries + distance
    near = ops.abs(distance) <= cut.reach
    return near & (keys >= 0) & (keys < cut.length) & (queries < cut.length)


def blocks(x, cut: Cut):
    """[R, L, ...] as [R * blocks, block, ...], ending with cells of 0."""
    rest = ops.shape(x)[2:]
    if not _is_whole(cut):
        x = ops.pad(x, ((0, 0), (0, cut.blocks * cut.block - cut.length), *((0, 0),) * len(rest)))
    return ops.reshape(x, (-1, cut.block, *rest))


def unblocked(x, cut: Cut):
    """[R, L, ...] from [R * blocks, block, ...]."""
    return ops.reshape(x, (-1, cut.blocks * cut.block, *ops.shape(x)[2:]))[:, : cut.length]


def windows(x, cut: Cut):
    """[R, L, ...] as [R * blocks, window, ...]: each block with its margins, 0 beyond the row."""
    if _is_whole(cut):
        return x
    rest = ops.shape(x)[2:]
    further = -(-2 * cut.margin // cut.block)  # blocks that a window touches beside its first
    after = (cut.blocks + further) * cut.block - cut.margin - cut.length
    x = ops.pad(x, ((0, 0), (cut.margin, after), *((0, 0),) * len(rest)))
    x = ops.reshape(x, (-1, cut.blocks + further, cut.block, *rest))
    x = ops.concatenate([x[:, step : step + cut.blocks] for step in range(further + 1)], axis=2)
    return ops.reshape(x[:, :, : cut.window], (-1, cut.window, *rest))


def unwindowed(x, cut: Cut):
    """[R, L, ...] from [R * blocks, window, ...]: what windows hold of one cell adds up."""
    if _is_whole(cut):
        return x
    rest = ops.shape(x)[2:]
    further = -(-2 * cut.margin // cut.block)
    none = ((0, 0),) * len(rest)
    x = ops.reshape(x, (-1, cut.blocks, cut.window, *rest))
    x = ops.pad(x, ((0, 0), (0, 0), (0, (further + 1) * cut.block - cut.window), *none))
    total: Any = 0.0
    for step in range(further + 1):
        piece = x[:, :, step * cut.block : (step + 1) * cut.block]
        total = total + ops.pad(piece, ((0, 0), (step, further - step), (0, 0), *none))
    total = ops.reshape(total, (-1, (cut.blocks + further) * cut.block, *rest))
    return total[:, cut.margin : cut.margin + cut.length]


def _is_whole(cut: Cut) -> bool:
    """Whether the row is one block with all keys."""
    return isinstance(cut.blocks, int) and cut.blocks == 1 and cut.margin == 0
