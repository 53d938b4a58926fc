"""What the official rules pass over: the truth's void and crowds, and the predicted segments that count as nothing.

A predicted segment is ignored if it has no match and more than half of it lies on void and on the crowd of its
category; see `matching`.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.matching import SegmentPairs

COLUMNS = ("category_or_void", "pixels", "void", "crowds", "segments", "ignored")


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """Counters of one image by category, 0 for void, as rows, float64 `[R, 6]` with the columns `COLUMNS`.

    `pixels`, `void` and `crowds` are of the truth, `segments` and `ignored` of the prediction. The row of void has the
    pixels of background, too, where void counts as such; they are not void.
    """
    size = len(categories) + 1
    true, predicted = pairs.truth.segments, pairs.prediction.segments
    category = np.append(true["category"], 0)[pairs.true_row]  # row -1 is the 0 at the end
    ignored = ~pairs.matches.wrong
    ignored[pairs.matches.predicted_row] = False
    counts = (
        np.bincount(category, pairs.area, size),
        np.bincount(category, pairs.area * pairs.void, size),
        np.bincount(true["category"][true["iscrowd"]], minlength=size),
        np.bincount(predicted["category"], minlength=size),
        np.bincount(predicted["category"][ignored], minlength=size),
    )
    table = np.stack(counts, axis=1).astype(np.float64)
    seen = np.flatnonzero(table.any(axis=1))
    return np.column_stack([seen, table[seen]])


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """The sums over all images.

    Returns:
        `{"void", "crowds", "segments", "ignored"}`: the share of the truth's pixels that are void, as a fraction, None
        without a pixel; the crowds of the truth; the predicted segments, and those of them that are ignored.
    """
    pixels, void, crowds, segments, ignored = rows[:, 1:].sum(axis=0)
    share = float(void / pixels) if pixels else None
    return {"void": share, "crowds": int(crowds), "segments": int(segments), "ignored": int(ignored)}
