"""Losses of masks at points, most of them where a mask is uncertain.

A pair has candidates, of which those with the logits nearest to 0 count, and other points, which count all. Pairs are
worked on in chunks, those that exist first, and the gradient draws and chooses the points again: memory holds those of
a few chunks. A chunk goes through programs of a few steps each (`ops/fused.py`).

Source: Kirillov et al. 2020 (PointRend), section 3.1; Cheng et al. 2022 (Mask2Former), section 3.3. Own choice: of
candidates that are equally uncertain, where not all of them can count, each counts in part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.losses.detection import binary_cross_entropy
from tfpanoptic.ops.chunks import chunked, joined, map_chunks
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
    shape, places = ops.shape(query), query.shape[1]
    # Places that have a query come first, and behind all others one that does not exist.
    matched, query, rows = ops.reshape(matched, (-1,)), ops.reshape(query, (-1,)), shape[0] * places
    number = ops.arange(rows, dtype="int32")
    row = ops.concatenate([ops.sort(ops.where(matched, number, rows)), ops.full((1,), rows, dtype="int32")], axis=0)
    pairs = Pairs(row, query, places)

    @ops.custom_gradient
    def losses(logits):
        def gradient(*upstreams):
            # JAX gives the gradients of two outputs as one tuple.
            upstreams = upstreams if len(upstreams) == 2 else upstreams[0]
            return _gradient(logits, segment_map, pairs, draw, source, counts, upstreams)

        return _losses(logits, segment_map, pairs, draw, source, counts), gradient

    mask, dice = losses(logits)
    return ops.reshape(mask, shape), ops.reshape(dice, shape)


@fused
def drawn_points(source, row, count: int):
    """Points (x, y) of pairs, uniform in 0..1, float32 `[T, 2, count]`.

    Args:
        source: int32 `[R, 2]`, a seed for each pair.
        row: int32 `[T]`, which pairs.
        count: points of a pair.
    """
    return random_uniform(gather(source, row), (2, count))


@fused
def given_points(source, row, count: int):
    """As `drawn_points`, from a source that holds them, float32 `[R, 2, count]`: first the candidates."""
    return gather(source, row)


class Pairs(NamedTuple):
    """The R places of all images, those that have a query first.

    Attributes:
        row: int32 `[R + 1]`, image * M + place; R behind those that have a query.
        query: int32 `[R]`, of each place.
        places: M.
    """

    row: Any
    query: Any
    places: int


def _losses(logits, segment_map, pairs: Pairs, draw: Callable, source, counts: PointCounts) -> tuple[Any, Any]:
    """The values of `mask_losses`, float32 `[R]` twice."""

    def of_chunk(row):
        chunk = _chunk(logits, segment_map, pairs, draw, source, counts, row)
        values = _values(chunk.logits, chunk.mask, chunk.weight, counts.counted, pixels=chunk.pixels)
        return tuple(ops.where(chunk.exists, value, 0.0) for value in values)

    def nothing(row):
        return (ops.zeros_like(row, dtype="float32"),) * 2

    values = _over_pairs(of_chunk, nothing, logits, pairs, counts)
    rows = ops.shape(pairs.query)[0]
    none = ops.zeros_like(pairs.query, dtype="float32")
    return tuple(add_rows(none, ops.minimum(pairs.row, rows - 1), value) for value in values)


def _gradient(logits, segment_map, pairs: Pairs, draw: Callable, source, counts: PointCounts, upstreams):
    """The gradient of `_losses` in the logits, float32 `[B, h, w, Q]`.

    Args:
        upstreams: the gradients in its values, float32 `[R]` twice.
    """
    batch, height, width, queries = ops.shape(logits)
    size, rows = (height, width), ops.shape(pairs.query)[0]

    def of_chunk(row):
        chunk = _chunk(logits, segment_map, pairs, draw, source, counts, row)
        of_values = (ops.where(chunk.exists, gather(values, chunk.row), 0.0) for values in upstreams)
        slope = _slope(chunk.logits, chunk.mask, chunk.weight, *of_values, counts.counted, pixels=chunk.pixels)
        cells, shares = _neighbours(chunk.points, size, pixels=chunk.pixels)
        return (_added(slope, cells, shares, size, pixels=chunk.pixels),)

    def nothing(row):
        return (ops.zeros((*ops.shape(row), height * width), "float32"),)

    (maps,) = _over_pairs(of_chunk, nothing, logits, pairs, counts)
    # The number in `pairs.row` of each query's place; R for queries without one, whose map is 0.
    row = ops.minimum(pairs.row[:rows], rows - 1)
    less = ops.where(pairs.row[:rows] < rows, ops.arange(rows, dtype="int32") - rows, 0)
    of_query = add_rows(
        ops.full((batch * queries,), rows, dtype="int32"),
        row // pairs.places * queries + gather(pairs.query, row),
        less,
    )
    maps = ops.reshape(gather(maps, of_query), (batch, queries, height, width))
    return ops.transpose(maps, (0, 2, 3, 1))


def _over_pairs(function: Callable, nothing: Callable, logits, pairs: Pairs, counts: PointCounts) -> list:
    """What a function of rows makes of every chunk of pairs, `[R + 1, ...]` each; chunks without a pair cost nothing.

    Args:
        function: int32 `[T]` -> tuple of tensors `[T, ...]`.
        nothing: the same for places without a query.
        logits: whose maps it reads.
        pairs: of the batch.
        counts: points of a pair.
    """
    height, width = logits.shape[1:3]
    count, rows = ops.shape(pairs.row)[0], ops.shape(pairs.query)[0]
    # The four neighbours of each point are the largest that a pair needs.
    chunks = chunked(pairs.row - rows, count, 4 * max(counts.drawn, height * width)) + rows

    def of_chunk(row):
        return ops.cond(row[0] < rows, lambda: function(row), lambda: nothing(row))

    return [joined(values, count) for values in map_chunks(of_chunk, chunks)]


class _Chunk(NamedTuple):
    """T pairs with their N points.

    Attributes:
        row: int32 `[T]`, as in `Pairs`.
        exists: bool `[T]`; the last chunk has pairs that do not count.
        points: float32 `[T, 2, N]`, (x, y).
        logits: float32 `[T, N]`, at the points.
        mask: float32 `[T, N]`, what the segment's mask reads there.
        weight: float32 `[T, N]`, whether a point counts; in part where others are as uncertain.
        pixels: numbers of the chunk, as far as that is known, for `ops.fused`.
    """

    row: Any
    exists: Any
    points: Any
    logits: Any
    mask: Any
    weight: Any
    pixels: int | None


def _chunk(logits, segment_map, pairs: Pairs, draw: Callable, source, counts: PointCounts, row) -> _Chunk:
    """The pairs of some rows."""
    height, width, queries = logits.shape[1:]
    cells, rows = height * width, ops.shape(pairs.query)[0]
    exists, row = row < rows, ops.minimum(row, rows - 1)
    pixels = None if row.shape[0] is None else row.shape[0] * max(counts.drawn, cells)
    image, place = row // pairs.places, row % pairs.places + 1
    first = image * cells * queries + gather(pairs.query, row)
    maps = _maps(ops.reshape(logits, (-1,)), first, cells, queries, pixels=pixels)
    points = draw(source, row, counts.drawn, pixels=pixels)
    at_points = _read(maps, points, (height, width), pixels=pixels)
    mask = _masks(segment_map, image, place, points, pixels=pixels)
    return _Chunk(row, exists, points, at_points, mask, _weights(at_points, counts, pixels=pixels), pixels)


@fused
def _maps(logits, first, cells: int, queries: int):
    """The maps of queries, float32 `[T * h * w]`, out of all logits, from the first cell int32 `[T]` of each."""
    index = ops.expand_dims(first, 1) + ops.arange(cells, dtype="int32") * queries
    return gather(logits, ops.reshape(index, (-1,)))


@fused
def _read(maps, points, size):
    """One map at points of its own, float32 `[T, N]`, from maps float32 `[T * h * w]`."""
    return sum(gather(maps, cell) * share for cell, share in neighbours(points, size))


_masks = fused(mask_at)


@fused
def _weights(logits, counts: PointCounts):
    """Whether each point counts: the most uncertain candidates, and all others, float32 `[T, N]`."""
    uncertain = smallest(ops.abs(logits[:, : counts.candidates]), counts.uncertain)
    return ops.concatenate([uncertain, ops.ones_like(logits[:, counts.candidates :])], axis=1)


@fused
def _values(logits, mask, weight, counted: int):
    """Mean cross entropy and dice of each pair, float32 `[T]` twice."""
    entropy = ops.sum(weight * binary_cross_entropy(logits, mask), axis=1) / counted
    overlap, areas = _dice_sums(ops.sigmoid(logits), mask, weight)
    return entropy, 1.0 - (2.0 * overlap + 1.0) / (areas + 1.0)


@fused
def _slope(logits, mask, weight, of_mask, of_dice, counted: int):
    """The gradient of `_values` in the logits at the points, float32 `[T, N]`, for those of its values."""
    probability = ops.sigmoid(logits)
    overlap, areas = (ops.expand_dims(x, 1) for x in _dice_sums(probability, mask, weight))
    # The derivative of (2 overlap + 1) / (areas + 1) in the probability at a point.
    rise = (2.0 * mask * (areas + 1.0) - (2.0 * overlap + 1.0)) / ops.square(areas + 1.0)
    of_entropy = ops.expand_dims(of_mask, 1) * (probability - mask) / counted
    return weight * (of_entropy - ops.expand_dims(of_dice, 1) * rise * probability * (1.0 - probability))


def _dice_sums(probability, mask, weight) -> tuple[Any, Any]:
    """The overlap of both masks, and their areas together, over the points that count, float32 `[T]`."""
    return ops.sum(weight * probability * mask, axis=1), ops.sum(weight * (probability + mask), axis=1)


@fused
def _neighbours(points, size):
    """The four cells around each point, int32 `[T, N]` each, and its shares in them, float32 `[T, N]` each."""
    cells, shares = zip(*neighbours(points, size))
    return cells, shares


@fused
def _added(slope, cells, shares, size):
    """What all points add to the cells around them, float32 `[T, h * w]`."""
    pairs, places = ops.shape(slope)[0], size[0] * size[1]
    total = sum(
        ops.segment_sum(ops.reshape(slope * share, (-1,)), ops.reshape(cell, (-1,)), pairs * places)
        for cell, share in zip(cells, shares)
    )
    return ops.reshape(total, (pairs, places))
