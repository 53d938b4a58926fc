"""What a table has for the category of each label of a panoptic map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfpanoptic.panoptic_map import category_of


def by_category(labels: tf.Tensor, table: np.ndarray) -> tf.Tensor:
    """Each label's entry, in the shape of the labels.

    Args:
        labels: int32, of a panoptic map.
        table: an entry for each category id; the last one answers for every larger id.
    """
    return tf.gather(table, tf.minimum(category_of(labels), len(table) - 1))


def is_thing(labels: tf.Tensor, thing_ids: Sequence[int]) -> tf.Tensor:
    """Whether each label is of a thing, an instance or a crowd, bool in the shape of the labels."""
    table = np.zeros(max([0, *thing_ids]) + 2, bool)
    table[list(thing_ids)] = True
    return by_category(labels, table)
