"""Rows of stuff in a table of segments: one for each of S categories, empty where an image has too little of it."""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.panoptic_map import encode


def stuff_labels(areas, stuff_ids, stuff_area: int):
    """Panoptic-map labels of the rows, int32 `[B, S]`, 0 in empty ones.

    Args:
        areas: int32 `[B, S]`, pixels of each category.
        stuff_ids: the category ids, a tuple or an array.
        stuff_area: rows with fewer pixels are empty.
    """
    return ops.where(areas >= max(1, stuff_area), encode(np.asarray(stuff_ids, np.int32), 0), 0)


def by_category(values, stuff_ids, num_categories: int):
    """Values of the rows, `[B, S]`, at their category ids, `[B, C + 1]`; 0 elsewhere."""
    column = np.full(num_categories + 1, len(stuff_ids), np.int32)
    column[np.asarray(stuff_ids, np.int32)] = np.arange(len(stuff_ids))
    return ops.take(ops.pad(values, ((0, 0), (0, 1))), column, axis=1)
