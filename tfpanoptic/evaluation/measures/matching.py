"""Overlaps of the segments of a truth and of a prediction, and which of them match, by the official rules.

Every measure of one image reads the same `SegmentPairs`; the pixels are looked at once.

Source: Kirillov et al. 2019, section 4.1, and the COCO panoptic API (`evaluation.py`), whose rules are:

- true areas are those of the annotation, predicted areas are counted in the image;
- a pair matches if its categories agree, the truth is no crowd and IoU > 0.5; pixels that are void in
  the truth leave the union, pixels of crowds do not;
- a true segment without a match is missed, unless it is a crowd;
- a predicted segment without a match is wrong, unless more than half of it lies on void and on the
  crowd of its category; of several crowds of a category, the last one in the table counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfpanoptic.data.segment_png import counted_segments
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, rows_of

# Two ids share an integer of 64 bits while they are counted.
MAX_ID = (1 << 31) - 1
# Pixels of this id in a truth are of no segment and yet not void: what is predicted there is wrong. No file has such
# an id, and it is the largest that boundaries can be drawn of.
BACKGROUND = (1 << 30) - 1


class SideError(InputError):
    """A segment map that contradicts itself or its partner.

    Attributes:
        side: "truth" or "prediction", the first word of the text.
    """

    def __init__(self, side: str, message: str):
        super().__init__(side, message)
        self.side = side

    def __str__(self) -> str:
        return " ".join(self.args)


@dataclass(frozen=True)
class SegmentPairs:
    """The pairs of a true and a predicted segment that share pixels; void and background take part as row -1.

    T true and Q predicted segments, P pairs; a row is one of the segment table of its map.

    Attributes:
        truth, prediction: the segment maps, of one size.
        true_row, predicted_row: int64 `[P]`, -1 for void, and for background of the truth.
        void: bool `[P]`, where the truth is void.
        area: int64 `[P]`, pixels of each pair.
        predicted_area: int64 `[Q]`, pixels.
        on_void: int64 `[Q]`, pixels that are void in the truth.
    """

    truth: SegmentMap
    prediction: SegmentMap
    true_row: np.ndarray
    predicted_row: np.ndarray
    void: np.ndarray
    area: np.ndarray
    predicted_area: np.ndarray
    on_void: np.ndarray

    @cached_property
    def both(self) -> np.ndarray:
        """int64 `[K]`: the pairs that have a row on both sides."""
        return np.flatnonzero((self.true_row >= 0) & (self.predicted_row >= 0))

    @cached_property
    def iou(self) -> np.ndarray:
        """float64 `[K]`: IoU of the pairs `both`, whatever their categories; void pixels leave the union."""
        t, p, intersection = self.true_row[self.both], self.predicted_row[self.both], self.area[self.both]
        union = self.predicted_area[p] + self.truth.segments["area"][t] - intersection - self.on_void[p]
        return intersection / np.maximum(union, 1)

    @cached_property
    def same_category(self) -> np.ndarray:
        """Whether the categories of the pairs `both` agree, bool `[K]`."""
        category = self.truth.segments["category"][self.true_row[self.both]]
        return category == self.prediction.segments["category"][self.predicted_row[self.both]]

    @cached_property
    def matches(self) -> Matches:
        """The matches by mask IoU."""
        return match(self, self.iou)


@dataclass(frozen=True)
class Matches:
    """Which segments match, are missed and are wrong.

    Attributes:
        true_row, predicted_row: int64 `[M]`.
        iou: float64 `[M]`, above 0.5.
        missed: bool `[T]`.
        wrong: bool `[Q]`.
    """

    true_row: np.ndarray
    predicted_row: np.ndarray
    iou: np.ndarray
    missed: np.ndarray
    wrong: np.ndarray


def pair_segments(truth: SegmentMap, prediction: SegmentMap, num_categories: int) -> SegmentPairs:
    """The pairs of two segment maps of one image.

    Raises:
        SideError: maps of different sizes, a category outside 1..C, pixels of a negative id or of one without a row
            in its table, or a row without a pixel.
    """
    if truth.shape != prediction.shape:
        raise SideError("prediction", f"is {_size(prediction)} pixels, truth is {_size(truth)}")
    for side, segment_map in (("truth", truth), ("prediction", prediction)):
        _check_categories(side, segment_map, num_categories)
        if segment_map.ids.size and not 0 <= segment_map.ids.min() <= segment_map.ids.max() <= MAX_ID:
            low, high = segment_map.ids.min(), segment_map.ids.max()
            raise SideError(side, f"has pixels of segment {low if low < 0 else high}, expected ids 0..{MAX_ID}")
    true_id, predicted_id, area = intersections(truth.ids, prediction.ids)
    true_row = rows_of(truth.segments["id"], true_id)
    predicted_row = rows_of(prediction.segments["id"], predicted_id)
    true_area = sum_by_row(true_row, area, len(truth.segments))
    predicted_area = sum_by_row(predicted_row, area, len(prediction.segments))
    _check_ids("truth", truth, true_id[(true_row < 0) & (true_id != BACKGROUND)], true_area)
    _check_ids("prediction", prediction, predicted_id[predicted_row < 0], predicted_area)
    void = true_id == 0
    on_void = sum_by_row(np.where(void, predicted_row, -1), area, len(prediction.segments))
    return SegmentPairs(truth, prediction, true_row, predicted_row, void, area, predicted_area, on_void)


def match(pairs: SegmentPairs, iou: np.ndarray) -> Matches:
    """The matches of an image's pairs.

    Args:
        pairs: of `pair_segments`.
        iou: float64 `[K]`, of the pairs `both`: mask IoU, or another measure that is never above it.
    """
    t, p = pairs.true_row[pairs.both], pairs.predicted_row[pairs.both]
    category, crowd = pairs.truth.segments["category"], pairs.truth.segments["iscrowd"]
    matched = pairs.same_category & ~crowd[t] & (iou > 0.5)

    counted_crowd = np.zeros(len(crowd), bool)
    counted_crowd[list({c: row for row, c in enumerate(category.tolist()) if crowd[row]}.values())] = True
    rows = np.where(pairs.same_category & counted_crowd[t], p, -1)
    on_crowd = sum_by_row(rows, pairs.area[pairs.both], len(pairs.prediction.segments))
    wrong = (pairs.on_void + on_crowd) / pairs.predicted_area <= 0.5
    wrong[p[matched]] = False
    missed = ~crowd
    missed[t[matched]] = False
    return Matches(t[matched], p[matched], iou[matched], missed, wrong)


def intersections(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of values that occur at one pixel, and at how many: three int64 `[P]`.

    Runs of equal pairs along the rows are collapsed before anything is sorted.

    Args:
        first, second: int32 of one shape, not negative.
    """
    first, second = first.reshape(-1), second.reshape(-1)
    if first.size == 0:
        return (np.zeros(0, np.int64),) * 3
    change = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    start = np.concatenate([[0], np.flatnonzero(change) + 1])
    length = np.diff(start, append=first.size)
    pair = (first[start].astype(np.int64) << 32) | second[start]
    pair, which = np.unique(pair, return_inverse=True)
    return pair >> 32, pair & 0xFFFFFFFF, np.bincount(which, length).astype(np.int64)


def sum_by_row(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """int64 `[count]`: sum of the values of each row; those of row -1 are left out."""
    kept = rows >= 0
    return np.bincount(rows[kept], values[kept], count).astype(np.int64)


def _check_categories(side: str, segment_map: SegmentMap, num_categories: int) -> None:
    category = segment_map.segments["category"]
    unknown = category[(category < 1) | (category > num_categories)]
    if unknown.size:
        raise SideError(side, f"has a segment of category {unknown[0]}, expected 1..{num_categories}")


def _check_ids(side: str, segment_map: SegmentMap, without_row: np.ndarray, areas: np.ndarray) -> None:
    unknown = np.unique(without_row[without_row != 0])
    if unknown.size:
        raise SideError(side, f"has pixels of {counted_segments(unknown)}, which its table does not list")
    empty = segment_map.segments["id"][areas == 0]
    if empty.size:
        verb = "have" if len(empty) > 1 else "has"
        raise SideError(side, f"lists {counted_segments(empty)}, which {verb} no pixel")


def _size(segment_map: SegmentMap) -> str:
    return "x".join(map(str, segment_map.shape))
