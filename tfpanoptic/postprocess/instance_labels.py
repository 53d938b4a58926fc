"""Numbers of instances within their category."""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.panoptic_map import encode


def labels_in_order(category):
    """Panoptic-map labels of the rows, int32 `[B, N]`: those of a category are numbered 1, 2, ... from the first on.

    Args:
        category: int32 `[B, N]`, 0 in empty rows, whose label is 0.
    """
    count = ops.shape(category)[1]
    earlier = np.tril(np.ones((count, count), bool))
    same = ops.expand_dims(category, 2) == ops.expand_dims(category, 1)
    number = ops.sum(ops.cast(ops.logical_and(same, earlier), "int32"), axis=2)
    return ops.where(category > 0, encode(category, number), 0)
