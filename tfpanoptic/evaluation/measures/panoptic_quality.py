"""Panoptic quality of segment maps, by the rules of the official evaluation; see `matching`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.matching import Matches, SegmentPairs, pair_segments
from tfpanoptic.segment_map import SegmentMap

COLUMNS = ("category", "iou", "tp", "fp", "fn")


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

    @classmethod
    def from_rows(cls, rows: np.ndarray, num_categories: int) -> PanopticCounts:
        """The sums of `rows`, float64 `[R, 5]` with the columns `COLUMNS`, added in their order."""
        category = rows[:, 0].astype(np.int64)
        iou, *counts = (np.bincount(category, column, num_categories + 1) for column in rows[:, 1:].T)
        return cls(iou, *(column.astype(np.int64) for column in counts))

    def to_rows(self) -> np.ndarray:
        """float64 `[R, 5]`, columns `COLUMNS`: the categories that have any segment."""
        seen = np.flatnonzero(self.tp + self.fp + self.fn)
        return np.stack([seen, self.iou[seen], self.tp[seen], self.fp[seen], self.fn[seen]], axis=1).astype(np.float64)

    def __add__(self, other: PanopticCounts) -> PanopticCounts:
        return PanopticCounts(self.iou + other.iou, self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


def count(truth: SegmentMap, prediction: SegmentMap, num_categories: int) -> PanopticCounts:
    """Counters of one image.

    Raises:
        InputError: see `matching.pair_segments`.
    """
    pairs = pair_segments(truth, prediction, num_categories)
    return count_matches(pairs, pairs.matches, num_categories)


def count_matches(pairs: SegmentPairs, matches: Matches, num_categories: int) -> PanopticCounts:
    """Counters of one image whose segments are matched."""
    size = num_categories + 1
    true_category, predicted_category = pairs.truth.segments["category"], pairs.prediction.segments["category"]
    matched = true_category[matches.true_row]
    return PanopticCounts(
        np.bincount(matched, matches.iou, size),
        np.bincount(matched, minlength=size),
        np.bincount(predicted_category[matches.wrong], minlength=size),
        np.bincount(true_category[matches.missed], minlength=size),
    )


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """Counters of one image as rows, float64 `[R, 5]` with the columns `COLUMNS`."""
    return count_matches(pairs, pairs.matches, len(categories)).to_rows()


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """`summarize` of the sums of the rows of all images."""
    return summarize(PanopticCounts.from_rows(rows, len(categories)), categories)


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
