"""Losses of masks at points, most of them where a mask is uncertain.

A pair has candidates, of which those with the logits nearest to 0 count, and other points, which count all. Pairs are
worked on in chunks, in a loop over those that exist, and the gradient draws and chooses the points again: memory holds
those of one chunk.

Source: Kirillov et al. 2020 (PointRend), section 3.1; Cheng et al. 2022 (Mask2Former), section 3.3. Own choice: of
candidates that are equally uncertain, where not all of them can count, each counts in part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.losses.detection import binary_cross_entropy
from tfpanoptic.ops.chunks import TOGETHER
from tfpanoptic.ops.fused import fused
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.point_samples import mask_at, neighbours
from tfpanoptic.ops.sampling import random_uniform
from tfpanoptic.ops.scatter import add_rows
from tfpanoptic.ops.smallest import smallest


class PointCounts(NamedTuple):
    """Points of a pair.

    Attributes:
        candidates: drawn, of which the most uncertain count.
        uncertain: how many of those count.
        others: drawn beside them; all count.
    """

    candidates: int
    uncertain: int
    others: int

    @property
    def drawn(self) -> int:
        """All that are drawn."""
        return self.candidates + self.others

    @property
    def counted(self) -> int:
        """All that count."""
        return self.uncertain + self.others


def point_counts(points: int, oversample: float, importance: float) -> PointCounts:
    """Points of a pair by the settings; a share is rounded down, as in the original.

    Args:
        points: that count.
        oversample: candidates for each of them.
        importance: share of those that are chosen among the candidates.

    Raises:
        ValueError: more are to be chosen than there are candidates.
    """
    uncertain = int(importance * points)
    if uncertain > int(oversample * points):
        raise ValueError(f"importance {importance} of the points needs at least as many candidates, got {oversample}")
    return PointCounts(int(oversample * points), uncertain, points - uncertain)


class Pairs(NamedTuple):
    """The R = B * M places of a batch, those that have a query first.

    Attributes:
        row: int32 `[R]`, image * M + place.
        query: int32 `[B * M]`, of each place.
        count: scalar int32, places that have a query.
        places: M.
    """

    row: Any
    query: Any
    count: Any
    places: int


def pairs_of(query, matched) -> Pairs:
    """The pairs of one prediction.

    Args:
        query: int32 `[B, M]`, of each place.
        matched: bool `[B, M]`, whether it has one.
    """
    places = query.shape[1]
    matched = ops.reshape(matched, (-1,))
    rows = ops.shape(matched)[0]
    row = ops.sort(ops.where(matched, ops.arange(rows, dtype="int32"), rows))
    return Pairs(row, ops.reshape(query, (-1,)), ops.sum(ops.cast(matched, "int32")), places)


def mask_losses(logits, segment_map, query, matched, draw: Callable, source, counts: PointCounts) -> tuple[Any, Any]:
    """Cross entropy and dice of each place's mask against that of its query, 0 in places without one.

    Args:
        logits: float32 `[B, h, w, Q]`.
        segment_map: int32 `[B, H, W]`.
        query: int32 `[B, M]`, of each place.
        matched: bool `[B, M]`, whether it has one; no query has two places.
        draw: `drawn_points` or `given_points`.
        source: what it takes points from.
        counts: of the points.

    Returns:
        float32 `[B, M]` twice: the mean of the cross entropy over the points that count, and the dice over them. The
        gradient is that of the logits at the points; their choice has none.
    """
    pairs = pairs_of(query, matched)
    sides = logits.shape[1:]
    pixels = None if None in sides else sides[0] * sides[1] * sides[2]

    @ops.custom_gradient
    def losses(logits):
        def gradient(*upstreams):
            # JAX gives the gradients of two outputs as one tuple.
            upstreams = upstreams if len(upstreams) == 2 else upstreams[0]
            return _gradient(logits, segment_map, source, pairs, *upstreams, draw, counts, pixels=pixels)

        return _losses(logits, segment_map, source, pairs, draw, counts, pixels=pixels), gradient

    shape = ops.shape(query)
    mask, dice = losses(logits)
    return ops.reshape(mask, shape), ops.reshape(dice, shape)


def drawn_points(source, row, count: int):
    """Points (x, y) of pairs, uniform in 0..1, float32 `[T, 2, count]`.

    Args:
        source: int32 `[R, 2]`, a seed for each pair.
        row: int32 `[T]`, which pairs.
        count: points of a pair.
    """
    return random_uniform(gather(source, row), (2, count))


def given_points(source, row, count: int):
    """As `drawn_points`, from a source that holds them, float32 `[R, 2, count]`: first the candidates."""
    return gather(source, row)


@fused
def _losses(logits, segment_map, source, pairs: Pairs, draw: Callable, counts: PointCounts) -> tuple[Any, Any]:
    """The values of `mask_losses`, float32 `[R]` twice."""

    def add(start, mask, dice):
        chunk = _chunk(logits, segment_map, source, pairs, draw, counts, start)
        entropy = ops.sum(chunk.weight * binary_cross_entropy(chunk.logits, chunk.mask), axis=1) / counts.counted
        _, overlap, areas = _dice_sums(chunk)
        values = entropy, 1.0 - (2.0 * overlap + 1.0) / (areas + 1.0)
        mask, dice = (
            add_rows(total, chunk.row, ops.where(chunk.exists, value, 0.0)) for total, value in zip((mask, dice), values)
        )
        return start + ops.shape(chunk.row)[0], mask, dice

    none = ops.zeros_like(pairs.row, dtype="float32")
    state = ops.convert_to_tensor(0, "int32"), none, none
    return ops.while_loop(lambda start, *_: start < pairs.count, add, state)[1:]


@fused
def _gradient(logits, segment_map, source, pairs: Pairs, of_mask, of_dice, draw: Callable, counts: PointCounts):
    """The gradient of `_losses` in the logits, float32 `[B, h, w, Q]`, for those of its values, float32 `[R]`."""

    def add(start, table):
        chunk = _chunk(logits, segment_map, source, pairs, draw, counts, start)
        probability, overlap, areas = _dice_sums(chunk)
        mask, dice = (ops.expand_dims(gather(values, chunk.row), 1) for values in (of_mask, of_dice))
        overlap, areas = ops.expand_dims(2.0 * overlap + 1.0, 1), ops.expand_dims(areas + 1.0, 1)
        # The derivative of (2 overlap + 1) / (areas + 1) in the probability at a point.
        rise = (2.0 * chunk.mask * areas - overlap) / ops.square(areas)
        slope = mask * (probability - chunk.mask) / counts.counted - dice * rise * probability * (1.0 - probability)
        slope = ops.where(ops.expand_dims(chunk.exists, 1), chunk.weight * slope, 0.0)
        cells = ops.concatenate([ops.reshape(cell, (-1,)) for cell, _ in chunk.neighbours], axis=0)
        parts = ops.concatenate([ops.reshape(slope * share, (-1,)) for _, share in chunk.neighbours], axis=0)
        index = ops.reshape(chunk.index, (-1,))
        of_maps = ops.segment_sum(parts, cells, ops.shape(index)[0])
        return start + ops.shape(chunk.row)[0], add_rows(table, index, of_maps)

    state = ops.convert_to_tensor(0, "int32"), ops.zeros_like(ops.reshape(logits, (-1,)))
    table = ops.while_loop(lambda start, _: start < pairs.count, add, state)[1]
    return ops.reshape(table, ops.shape(logits))


class _Chunk(NamedTuple):
    """T pairs with their N points.

    Attributes:
        row: int32 `[T]`, as in `Pairs`.
        exists: bool `[T]`; the last chunk has pairs that do not count.
        index: int32 `[T, h * w]`, where the map of a pair's query lies among all logits.
        neighbours: four cells of each point, int32 `[T, N]`, among those of the T maps; its share in each.
        logits: float32 `[T, N]`.
        mask: float32 `[T, N]`, what the segment's mask reads.
        weight: float32 `[T, N]`, whether a point counts; in part where others are as uncertain.
    """

    row: Any
    exists: Any
    index: Any
    neighbours: list
    logits: Any
    mask: Any
    weight: Any


def _chunk(logits, segment_map, source, pairs: Pairs, draw: Callable, counts: PointCounts, start) -> _Chunk:
    """The pairs from `start` on."""
    height, width, queries = logits.shape[1:]
    cells = height * width
    rows = ops.shape(pairs.row)[0]
    together = max(1, TOGETHER // (4 * max(counts.drawn, cells)))
    if isinstance(rows, int):
        together = min(together, rows)
    at = start + ops.arange(together, dtype="int32")
    row, exists = gather(pairs.row, ops.minimum(at, rows - 1)), at < pairs.count
    row = ops.minimum(row, rows - 1)
    image, place = row // pairs.places, row % pairs.places + 1
    first = image * cells * queries + gather(pairs.query, row)
    index = ops.expand_dims(first, 1) + ops.arange(cells, dtype="int32") * queries
    maps = gather(ops.reshape(logits, (-1,)), ops.reshape(index, (-1,)))
    points = draw(source, row, counts.drawn)
    shares = neighbours(points, (height, width))
    at_points = sum(gather(maps, cell) * share for cell, share in shares)
    candidates = ops.abs(at_points[:, : counts.candidates])
    weight = ops.concatenate(
        [smallest(candidates, counts.uncertain), ops.ones_like(at_points[:, counts.candidates :])], axis=1
    )
    return _Chunk(row, exists, index, shares, at_points, mask_at(segment_map, image, place, points), weight)


def _dice_sums(chunk: _Chunk) -> tuple[Any, Any, Any]:
    """Probabilities at the points `[T, N]`; the overlap with the masks `[T]`, and both areas together `[T]`."""
    probability = ops.sigmoid(chunk.logits)
    overlap = ops.sum(chunk.weight * probability * chunk.mask, axis=1)
    return probability, overlap, ops.sum(chunk.weight * (probability + chunk.mask), axis=1)
