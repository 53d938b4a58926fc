"""The nearest of a few points, for every pixel of a map, in two or more dimensions."""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.argmax import argmax
from tfpanoptic.ops.lowest import LOWEST

# Pixels of one matrix product. Own choice: 8,192 x 200 distances are 6.5 MB and stay in the cache.
BLOCK = 8_192
# Points below which halving the search does not pay.
_FEWEST = 16


def nearest_point(positions, points, exists):
    """Index of the point nearest to each position; equally near ones give the first.

    Where at most half of the places for points are taken, only that half is searched, and so on.

    Args:
        positions: float32 `[B, M, D]`. Coordinates about the image's centre: the squares of coordinates
            that begin in a corner cost float32 two more bits.
        points: float32 `[B, N, D]`, in the same coordinates.
        exists: bool `[B, N]`, True first; other points are never nearest, unless none exists.

    Returns:
        int32 `[B, M]`.
    """
    half = (points.shape[1] + 1) // 2
    if half < _FEWEST:
        return _nearest_of_all(positions, points, exists)
    return ops.cond(
        ops.any(exists[:, half]),
        lambda: _nearest_of_all(positions, points, exists),
        lambda: nearest_point(positions, points[:, :half], exists[:, :half]),
    )


def _nearest_of_all(positions, points, exists):
    """As `nearest_point`, in blocks of one matrix product.

    The nearest point p to q has the largest p.q - |p|**2 / 2.
    """
    batch, length = ops.shape(positions)[0], ops.shape(positions)[1]
    blocks = (length + (BLOCK - 1)) // BLOCK
    padding = ops.zeros_like(ops.tile(positions[:, :1], (1, BLOCK - 1, 1)))
    padded = ops.concatenate([positions, padding], axis=1)[:, : blocks * BLOCK]
    queries = ops.reshape(padded, (-1, BLOCK, positions.shape[2]))  # [B * blocks, BLOCK, D]
    image = ops.arange(batch * blocks, dtype="int32") // blocks

    bias = ops.where(exists, -0.5 * ops.sum(points * points, axis=-1), LOWEST)  # [B, N]
    directions = ops.transpose(points, (0, 2, 1))  # [B, D, N]

    def nearest_of_block(block):
        query, at = block
        closeness = ops.matmul(query, ops.take(directions, at, axis=0)) + ops.take(bias, at, axis=0)
        return argmax(closeness)

    nearest = ops.map(nearest_of_block, (queries, image))  # [B * blocks, BLOCK]
    return ops.reshape(nearest, (batch, -1))[:, :length]
