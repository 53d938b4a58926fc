"""The nearest of a few points, for every pixel of a map, in two or more dimensions.

On NVIDIA GPUs a float32 matrix product rounds what it multiplies to 11 bits (TensorFloat-32, which TensorFlow and JAX
switch on), and squares of coordinates would lose hundreds of pixels. So only numbers of 11 bits are multiplied here:
coordinates in whole steps, and the rest of a position.
"""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from tfpanoptic.ops.argmax import argmax
from tfpanoptic.ops.device_operators import is_for_devices
from tfpanoptic.ops.lowest import LOWEST

# Pixels of one matrix product. Own choice: 8,192 x 200 distances are 6.5 MB and stay in the cache.
BLOCK = 8_192
# Points below which halving the search does not pay.
_FEWEST = 16
# Whole numbers up to here have 11 bits or end in zeros.
_STEPS = 2_048


def nearest_point(positions, points, exists):
    """Index of the point nearest to each position; equally near ones give the first.

    Where at most half of the places for points are taken, only that half is searched, and so on; without any point
    nothing is.

    Args:
        positions: float32 `[B, M, D]`. Coordinates about the image's centre: the squares of coordinates that begin in a
            corner cost float32 two more bits.
        points: float32 `[B, N, D]`, in the same coordinates, taken to whole steps. A step is a power of 2 such that no
            coordinate of a point has more than 2,048 of them: whole pixels stay exact up to 4,096 pixels a side.
        exists: bool `[B, N]`, True first; other points are never nearest, unless none exists.

    Returns:
        int32 `[B, M]`.
    """
    batch, length = ops.shape(positions)[0], ops.shape(positions)[1]
    blocks = (length + (BLOCK - 1)) // BLOCK
    padding = ops.zeros((batch, blocks * BLOCK - length, positions.shape[2]), "float32")
    padded = ops.concatenate([positions, padding], axis=1)
    queries = ops.reshape(padded, (-1, BLOCK, positions.shape[2]))  # [B * blocks, BLOCK, D]
    image = ops.arange(batch * blocks, dtype="int32") // blocks

    step = _step(points, exists)
    points = ops.round(points / step)
    directions = ops.tile(ops.transpose(points, (0, 2, 1)), (1, 2, 1))  # [B, 2 * D, N]
    bias = ops.where(exists, -0.5 * ops.sum(points * points, axis=-1), LOWEST)  # [B, N]
    some_from = {first: ops.any(exists[:, first:]) for first in (0, *_halves(points.shape[1]))}

    def of_block(block, places: int):
        query, at = block
        query = query / ops.take(step, at, axis=0)
        whole = ops.round(query)
        query = ops.concatenate([whole, query - whole], axis=-1)
        # The nearest point p to q has the largest p.q - |p|**2 / 2.
        closeness = ops.matmul(query, ops.take(directions[:, :, :places], at, axis=0))
        return argmax(closeness + ops.take(bias[:, :places], at, axis=0))

    def among(found: Callable, shape):
        return _among_taken(some_from, points.shape[1], found, lambda: ops.zeros(shape, "int32"))

    blocks_and_images = (queries, image)
    if is_for_devices():
        # LiteRT has no loop that stacks within a condition, so each block has the conditions.
        nearest = ops.map(lambda block: among(lambda places: of_block(block, places), (BLOCK,)), blocks_and_images)
    else:
        nearest = among(
            lambda places: ops.map(lambda block: of_block(block, places), blocks_and_images), ops.shape(queries)[:2]
        )
    return ops.reshape(nearest, (batch, -1))[:, :length]  # of [B * blocks, BLOCK]


def _halves(places: int) -> list[int]:
    """Half of the places, rounded up, half of that, and so on, down to what pays."""
    half = (places + 1) // 2
    return [half, *_halves(half)] if half >= _FEWEST else []


def _among_taken(some_from: dict, places: int, found: Callable, nothing: Callable):
    """What is found among as few places as hold all points.

    Args:
        some_from: place -> bool, whether a point is there or beyond; for 0 and all `_halves`.
        places: as many as there are.
        found: (places) -> what is found among so many, the first ones.
        nothing: () -> what is found without any point.
    """
    half = (places + 1) // 2
    if half not in some_from:
        return ops.cond(some_from[0], lambda: found(places), nothing)
    return ops.cond(some_from[half], lambda: found(places), lambda: _among_taken(some_from, half, found, nothing))


def _step(points, exists):
    """The length of a step of each image, float32 `[B, 1, 1]`."""
    distance = ops.where(ops.expand_dims(exists, -1), ops.abs(points), 0.0)
    largest = ops.maximum(ops.max(distance, axis=(1, 2), keepdims=True), 1.0)
    return ops.power(2.0, ops.ceil(ops.log2(largest / _STEPS)))
