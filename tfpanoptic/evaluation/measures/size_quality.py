"""Panoptic quality of small, medium and large segments.

Segments are matched as ever; then every match and every missed segment counts at the size of the true
segment, by the area of its annotation, and every wrong one at the number of its own pixels. A wrong
prediction can so lie in another size than the missed segment that it was meant for.

Source: COCO's limits of 32**2 and 96**2 pixels (`pycocotools`, `Params.areaRng`). Own choice: COCO's ranges
share the areas on their limits, here such a segment belongs to the larger size, so that each counts once.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.matching import SegmentPairs
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, summarize

COLUMNS = ("category", "size", "iou", "tp", "fp", "fn")
# A size is its place here: 0, 1, 2.
SIZES = ("small", "medium", "large")
# Least area of a medium and of a large segment, in pixels.
LIMITS = (32**2, 96**2)


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """Counters of one image as rows, float64 `[R, 6]` with the columns `COLUMNS`."""
    matches = pairs.matches
    true_key = _keys(pairs.truth.segments["category"], pairs.truth.segments["area"])
    predicted_key = _keys(pairs.prediction.segments["category"], pairs.predicted_area)
    count = (len(categories) + 1) * len(SIZES)
    matched = true_key[matches.true_row]
    iou = np.bincount(matched, matches.iou, count)
    found, wrong, missed = (
        np.bincount(key, minlength=count) for key in (matched, predicted_key[matches.wrong], true_key[matches.missed])
    )
    seen = np.flatnonzero(found + wrong + missed)
    columns = (seen // len(SIZES), seen % len(SIZES), iou[seen], found[seen], wrong[seen], missed[seen])
    return np.stack(columns, axis=1).astype(np.float64)


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """PQ, SQ and RQ as fractions for each size.

    Returns:
        `{"small": {"limits": [least, below], "all", "things", "stuff", "per_category"}, "medium": ...,
        "large": ...}`. Limits are areas in pixels, `below` is None for large ones; the other entries are
        those of `panoptic_quality.summarize`.
    """
    edges = (0, *LIMITS, None)
    summary = {}
    for size, name in enumerate(SIZES):
        of_size = np.delete(rows[rows[:, 1] == size], 1, axis=1)
        counts = PanopticCounts.from_rows(of_size, len(categories))
        summary[name] = {"limits": [edges[size], edges[size + 1]], **summarize(counts, categories)}
    return summary


def _keys(category: np.ndarray, area: np.ndarray) -> np.ndarray:
    """int64 `[N]`: category and size in one number."""
    return category.astype(np.int64) * len(SIZES) + np.searchsorted(LIMITS, area, side="right")
