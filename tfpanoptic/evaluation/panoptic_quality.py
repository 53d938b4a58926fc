"""Panoptic quality of segment maps, by the rules of the official evaluation.

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

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap


@dataclass(frozen=True)
class PanopticCounts:
    """Additive counters by category id, `[C + 1]` each; entry 0 stays 0.

    Attributes:
        iou: float64, sum of the IoU of the matches.
        tp, fp, fn: int64, matched, wrong and missed segments.
    """

    iou: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray

    @classmethod
    def zeros(cls, num_categories: int) -> PanopticCounts:
        """The counters of no image."""
        size = num_categories + 1
        return cls(np.zeros(size), *(np.zeros(size, np.int64) for _ in range(3)))

    def __add__(self, other: PanopticCounts) -> PanopticCounts:
        return PanopticCounts(self.iou + other.iou, self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


def count(truth: SegmentMap, prediction: SegmentMap, num_categories: int) -> PanopticCounts:
    """Counters of one image.

    Raises:
        InputError: maps of different sizes, a category outside 1..C, a predicted id without a row in
            its table or a row without a pixel.
    """
    if truth.shape != prediction.shape:
        raise InputError(f"prediction is {_size(prediction)} pixels, truth is {_size(truth)}")
    for side, segment_map in (("truth", truth), ("prediction", prediction)):
        _check_categories(side, segment_map, num_categories)

    true_id, predicted_id, area = intersections(truth.ids, prediction.ids)
    true_row = _rows_of(truth.segments["id"], true_id)  # [P], -1 without a row
    predicted_row = _rows_of(prediction.segments["id"], predicted_id)
    predicted_area = _sum_by_row(predicted_row, area, len(prediction.segments))
    _check_prediction(prediction, predicted_id[(predicted_row < 0) & (predicted_id != 0)], predicted_area)

    category, crowd = truth.segments["category"], truth.segments["iscrowd"]
    predicted_category = prediction.segments["category"]
    on_void = _sum_by_row(np.where(true_id == 0, predicted_row, -1), area, len(prediction.segments))

    pair = np.flatnonzero((true_row >= 0) & (predicted_row >= 0))
    t, p, intersection = true_row[pair], predicted_row[pair], area[pair]
    same = category[t] == predicted_category[p]
    union = predicted_area[p] + truth.segments["area"][t] - intersection - on_void[p]
    iou = np.where(same & ~crowd[t], intersection / np.maximum(union, 1), 0.0)
    match = iou > 0.5

    counted_crowd = np.zeros(len(crowd), bool)
    counted_crowd[list({c: row for row, c in enumerate(category.tolist()) if crowd[row]}.values())] = True
    on_crowd = _sum_by_row(np.where(same & counted_crowd[t], p, -1), intersection, len(prediction.segments))
    wrong = (on_void + on_crowd) / predicted_area <= 0.5
    wrong[p[match]] = False
    missed = ~crowd
    missed[t[match]] = False

    size = num_categories + 1
    return PanopticCounts(
        np.bincount(category[t[match]], iou[match], size),
        np.bincount(category[t[match]], minlength=size),
        np.bincount(predicted_category[wrong], minlength=size),
        np.bincount(category[missed], minlength=size),
    )


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


def summarize(counts: PanopticCounts, categories: CategoryTable) -> dict:
    """PQ, SQ and RQ as fractions, for all categories, things, stuff and each category.

    Returns:
        `{"all": {"pq", "sq", "rq", "n"}, "things": ..., "stuff": ..., "per_category": {name: {"pq", "sq",
        "rq", "tp", "fp", "fn"}}}`. A group is the mean over its n categories with any segment. A
        category or group without segments has None.
    """
    per_category = {category.name: _category_summary(counts, category.id) for category in categories}

    def group(ids):
        present = [per_category[categories[i].name] for i in ids]
        present = [entry for entry in present if entry["pq"] is not None]
        mean = {
            name: float(np.mean([entry[name] for entry in present])) if present else None for name in ("pq", "sq", "rq")
        }
        return {**mean, "n": len(present)}

    return {
        "all": group(categories.ids),
        "things": group(categories.thing_ids),
        "stuff": group(categories.stuff_ids),
        "per_category": per_category,
    }


def _category_summary(counts: PanopticCounts, category_id: int) -> dict:
    iou = float(counts.iou[category_id])
    tp, fp, fn = (int(counter[category_id]) for counter in (counts.tp, counts.fp, counts.fn))
    summary: dict = {"pq": None, "sq": None, "rq": None, "tp": tp, "fp": fp, "fn": fn}
    if tp + fp + fn:
        weight = tp + 0.5 * fp + 0.5 * fn
        summary.update(pq=iou / weight, sq=iou / tp if tp else 0.0, rq=tp / weight)
    return summary


def _rows_of(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Row of each of `wanted` in `ids`, -1 where it has none; int64 `[P]`."""
    if len(ids) == 0:
        return np.full(len(wanted), -1)
    order = np.argsort(ids)
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    row = order[place]
    return np.where(ids[row] == wanted, row, -1)


def _sum_by_row(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """int64 `[count]`: sum of the values of each row; those of row -1 are left out."""
    kept = rows >= 0
    return np.bincount(rows[kept], values[kept], count).astype(np.int64)


def _check_categories(side: str, segment_map: SegmentMap, num_categories: int) -> None:
    category = segment_map.segments["category"]
    unknown = category[(category < 1) | (category > num_categories)]
    if unknown.size:
        raise InputError(f"{side} has a segment of category {unknown[0]}, expected 1..{num_categories}")


def _check_prediction(prediction: SegmentMap, without_row: np.ndarray, areas: np.ndarray) -> None:
    if without_row.size:
        raise InputError(f"prediction has pixels of segment {without_row[0]}, which its table does not list")
    empty = prediction.segments["id"][areas == 0]
    if empty.size:
        raise InputError(f"prediction lists segment {empty[0]}, which has no pixel")


def _size(segment_map: SegmentMap) -> str:
    return "x".join(map(str, segment_map.shape))
