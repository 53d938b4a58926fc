"""Which categories' pixels were taken for which: a heat map where they are few, and the pairs with most pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.report.plots import heat_map
from tfpanoptic.report.text import Cell, Column, count_cell, fine_percent, name_cell, table

# Own choices: what still fits a page and can be read.
MOST_HEAT_CATEGORIES = 40
MOST_PAIRS = 40


def confusion_section(rows: np.ndarray, categories: CategoryTable) -> str:
    """The heat map of confused categories, where they are few enough, and the pairs with most pixels.

    Args:
        rows: of `semantic_iou.count_rows`, all images.
        categories: of the rows.
    """
    size = len(categories) + 1
    key = rows[:, 0].astype(np.int64) * size + rows[:, 1].astype(np.int64)
    pixels = np.bincount(key, rows[:, 2], size * size).reshape(size, size)
    of_truth = pixels.sum(axis=1)
    shares = pixels / np.maximum(of_truth, 1)[:, None]
    names = ["void", *(category.name for category in categories)]
    seen = np.flatnonzero((of_truth > 0) | (pixels.sum(axis=0) > 0))
    seen = seen[seen > 0]
    parts = []
    if 1 < len(seen) <= MOST_HEAT_CATEGORIES:
        predicted = np.append(seen, 0) if pixels[:, 0].any() else seen
        drawn = heat_map(shares[np.ix_(seen, predicted)], [names[c] for c in seen], [names[c] for c in predicted])
        parts.append(
            '<figure class="scroll"><figcaption>Rows: the true category; columns: the predicted one; percent of the '
            f"row's pixels.</figcaption>{drawn}</figure>"
        )
    parts.append(f'<div class="pairs">{_pair_table(pixels, shares, names)}</div>')
    return (
        "<p>Pixels of one category that were taken for another, whatever their segments. Void in the truth is left "
        f'out.</p>\n<div class="confusion">{"".join(parts)}</div>'
    )


def _pair_table(pixels: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> str:
    """The pairs of a true category and another that most of its pixels were taken for; `[C + 1, C + 1]` each."""
    size = len(names)
    wrong = pixels * ~np.eye(size, dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS].tolist()
    pairs = [divmod(place, size) for place in order if wrong.flat[place] > 0]
    if not pairs:
        return "<p>No pixel is confused.</p>"
    columns = [
        Column("truth", "Truth", numeric=False),
        Column("prediction", "Taken for", numeric=False),
        Column("pixels", "Pixels"),
        Column("share", "Of the truth, %", "Share of the true category's pixels"),
    ]
    rows = [
        [
            name_cell(names[t]),
            name_cell(names[p]) if p else Cell('<i class="quiet">void</i>', "void"),
            count_cell(int(pixels[t, p])),
            Cell(fine_percent(float(shares[t, p])), float(shares[t, p])),
        ]
        for t, p in pairs
    ]
    return table("pairs", columns, rows, falling="pixels")
