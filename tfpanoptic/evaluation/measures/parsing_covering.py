"""Parsing covering: how well each true segment is covered by one predicted segment, weighted by area.

Every true segment takes the best IoU that any predicted segment of its category reaches, 0 without one;
a category's covering is the mean of these, weighted by the pixels of the true segments. Nothing is
matched, and a predicted segment that covers nothing costs nothing.

Areas are pixels, the true ones too. Pixels that are void in the truth are ignored: they leave the predicted
areas. Own choice: crowds are left out and their pixels ignored like void, for a crowd is no single thing that
one segment could cover.

Source: Yang et al. 2019 (DeeperLab), after the segmentation covering of Arbelaez et al. 2010. The weight of
a segment is its share of the image's pixels, as the authors' code (`deeplab/evaluation/parsing_covering.py`)
has it unless told otherwise, so large images weigh no more than small ones.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.matching import SegmentPairs, sum_by_row

COLUMNS = ("category", "covered", "weight")


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """The coverings of one image as rows, float64 `[R, 3]` with the columns `COLUMNS`.

    `weight` is the sum over a category's true segments of their share of the image's pixels, `covered` the
    sum of these shares times the best IoU.
    """
    truth, prediction = pairs.truth.segments, pairs.prediction.segments
    # Crowds become row -1, as void is.
    single = np.append(np.where(truth["iscrowd"], -1, np.arange(len(truth))), -1)
    true_row = single[pairs.true_row]
    true_area = sum_by_row(true_row, pairs.area, len(truth))
    on_crowd = (true_row < 0) & (pairs.true_row >= 0)
    ignored = sum_by_row(np.where(pairs.void | on_crowd, pairs.predicted_row, -1), pairs.area, len(prediction))

    both = np.flatnonzero((true_row >= 0) & (pairs.predicted_row >= 0))
    t, p, intersection = true_row[both], pairs.predicted_row[both], pairs.area[both]
    union = true_area[t] + pairs.predicted_area[p] - ignored[p] - intersection
    same_category = truth["category"][t] == prediction["category"][p]
    best = np.zeros(len(truth))
    np.maximum.at(best, t, np.where(same_category, intersection / union, 0.0))

    share = true_area / max(pairs.truth.ids.size, 1)
    weight, covered = (np.bincount(truth["category"], v, len(categories) + 1) for v in (share, share * best))
    seen = np.flatnonzero(weight)
    return np.stack([seen, covered[seen], weight[seen]], axis=1).astype(np.float64)


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """Parsing covering as a fraction, and that of each category.

    Returns:
        `{"pc", "n", "per_category": {name: covering}}`; the mean is over the n categories with a true
        segment that is no crowd. None where there is none.
    """
    category = rows[:, 0].astype(np.int64)
    covered, weight = (np.bincount(category, column, len(categories) + 1) for column in rows[:, 1:].T)
    per_category = {c.name: float(covered[c.id] / weight[c.id]) if weight[c.id] else None for c in categories}
    present = [covering for covering in per_category.values() if covering is not None]
    return {"pc": float(np.mean(present)) if present else None, "n": len(present), "per_category": per_category}
