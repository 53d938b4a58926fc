"""One segment map of the segment maps of overlapping tiles.

Each pixel is decided by the tile in which it lies deepest: cuts run through the middle of what two tiles share. Stuff
of a category is one segment. An instance that a cut divides is joined again where both tiles have it: within the
strip that both see, its two masks overlap enough, and each is the other's best partner. What is divided and has no
partner stays as it is.

Source: own design.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.matching import intersections
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows

# IoU within the strip that two tiles see from which on two masks are one instance. Own choice: on ten photos of nuclei,
# continued by mirrors to 1024 x 1024, tiles of 256 that share 64 agree with the whole by a PQ of things of 94.1 from
# 0.1 to 0.3 on, 93.8 at 0.5 and 81.2 without joining.
LEAST_IOU = 0.3
# Segments that a COCO panoptic PNG can number.
MOST_SEGMENTS = (1 << 24) - 1
# Rows of the map that are renumbered at once.
_BAND = 256


class Span(NamedTuple):
    """A tile along one axis, in pixels of the image; ends are exclusive.

    Attributes:
        start, stop: what it sees.
        first, last: what it decides.
    """

    start: int
    stop: int
    first: int
    last: int


class JoinedTiles:
    """A segment map that grows by a tile at a time; it holds the map and the strips along one row of tiles.

    Args:
        rows: of the tiles, from top to bottom; they cover the image.
        columns: of the tiles, from left to right.
        categories: say what is stuff.
        least_iou: as `LEAST_IOU`.
    """

    def __init__(
        self, rows: Sequence[Span], columns: Sequence[Span], categories: CategoryTable, least_iou: float = LEAST_IOU
    ):
        self._rows, self._columns = rows, columns
        self._isthing, self._least_iou = categories.isthing, least_iou
        self._ids = np.zeros((rows[-1].stop, columns[-1].stop), np.int32)
        # Ids of segments are their rows + 1. The stuff categories come first, behind them the instances of each tile.
        # `area` counts pixels that a segment decides, and `score` adds up over these.
        self._segments = segment_rows(range(1, len(categories) + 1), categories.ids, scores=[0.0] * len(categories))
        self._joined = [np.zeros((2, 0), np.int64)]
        self._right = self._ids[:0]
        self._below: dict[int, np.ndarray] = {}

    def add(self, row: int, column: int, tile: SegmentMap) -> None:
        """Takes the next tile: row by row, from left to right.

        Args:
            row, column: its place.
            tile: its segments.
        """
        down, across = self._rows[row], self._columns[column]
        numbers = self._numbers(tile.segments)
        seen = relabel(tile.ids, tile.segments["id"], numbers)
        own = seen[down.first - down.start : down.last - down.start]
        own = own[:, across.first - across.start : across.last - across.start]
        self._ids[down.first : down.last, across.first : across.last] = own
        areas = extents(own).of(numbers).areas
        self._segments["area"][numbers - 1] += areas
        self._segments["score"][numbers - 1] += areas * tile.segments["score"]
        if column:
            self._note_partners(self._right, seen[:, : self._columns[column - 1].stop - across.start])
        if row:
            self._note_partners(self._below[column], seen[: self._rows[row - 1].stop - down.start])
        # What the next tiles see, too; copies, so that the rest of the tile is freed.
        if column + 1 < len(self._columns):
            self._right = seen[:, self._columns[column + 1].start - across.start :].copy()
        if row + 1 < len(self._rows):
            self._below[column] = seen[self._rows[row + 1].start - down.start :].copy()

    def _numbers(self, segments: np.ndarray) -> np.ndarray:
        """Ids in the joined map of a tile's segments: of stuff that of its category, of instances new ones."""
        category = segments["category"]
        thing = self._isthing[category]
        numbers = np.where(thing, len(self._segments) + np.cumsum(thing), category)
        added = segment_rows(numbers[thing], category[thing], scores=np.zeros(thing.sum()))
        self._segments = np.concatenate([self._segments, added])
        return numbers

    def _note_partners(self, first: np.ndarray, second: np.ndarray) -> None:
        """Notes which instances are one, by what two tiles have in the strip that both see, int32 `[h, w]` each."""
        category = np.append(0, self._segments["category"])
        instances = np.where(self._isthing[category], category, 0)
        self._joined.append(best_partners(first, second, instances, self._least_iou))

    def finish(self, stuff_area: int = 0) -> SegmentMap:
        """The joined map, ids from 1 without gaps; a score is the mean over the pixels of its segment.

        Args:
            stuff_area: stuff categories with fewer pixels become void.

        Raises:
            InputError: there are more segments than a COCO panoptic PNG can number.
        """
        root = lowest_of_joined(np.concatenate(self._joined, axis=1) - 1, len(self._segments))
        areas = np.bincount(root, self._segments["area"], len(root))
        scores = np.bincount(root, self._segments["score"], len(root))
        stuff = ~self._isthing[self._segments["category"]]
        kept = areas >= np.where(stuff, max(stuff_area, 1), 1)
        if kept.sum() > MOST_SEGMENTS:
            raise InputError(f"{kept.sum()} segments are more than the {MOST_SEGMENTS} that a panoptic PNG can number")
        numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
        final = np.append(0, numbers[root]).astype(np.int32)
        for top in range(0, len(self._ids), _BAND):
            band = self._ids[top : top + _BAND]
            band[:] = final[band]
        category = self._segments["category"][kept]
        rows = segment_rows(numbers[kept], category, areas=areas[kept], scores=scores[kept] / areas[kept])
        return SegmentMap(self._ids, rows)


def best_partners(first: np.ndarray, second: np.ndarray, category: np.ndarray, least_iou: float) -> np.ndarray:
    """The instances of two maps of one place that are each other's best partners, int64 `[2, P]`.

    Args:
        first, second: int32 `[H, W]`, ids of segments, 0 where void.
        category: int64 `[N]`, of each id; 0 where it is no instance.
        least_iou: of partners; they are of one category, too.
    """
    one, other, shared = intersections(first, second)
    one_area, other_area = np.bincount(one, shared), np.bincount(other, shared)
    iou = shared / (one_area[one] + other_area[other] - shared)
    fit = (category[one] > 0) & (category[one] == category[other]) & (iou >= least_iou)
    one, other, iou = one[fit], other[fit], iou[fit]
    best = np.zeros(len(category))  # the ids of two tiles differ
    np.maximum.at(best, one, iou)
    np.maximum.at(best, other, iou)
    mutual = (iou == best[one]) & (iou == best[other])
    return np.stack([one[mutual], other[mutual]])


def lowest_of_joined(pairs: np.ndarray, count: int) -> np.ndarray:
    """The lowest member of the group of each of `count` members, int64 `[count]`.

    Args:
        pairs: integers `[2, P]`, two members that are in one group.
        count: of members, 0..count - 1.
    """
    lowest = list(range(count))
    for one, other in pairs.T.tolist():
        while lowest[one] != one:
            one = lowest[one]
        while lowest[other] != other:
            other = lowest[other]
        lowest[max(one, other)] = min(one, other)
    for member in range(count):  # those before it have their lowest one already
        lowest[member] = lowest[lowest[member]]
    return np.array(lowest, np.int64)
