"""Overlaps of the segments of two batches of panoptic maps, in graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfpanoptic.panoptic_map import VOID, category_of, instance_of

# Labels of panoptic maps are below this, so an int64 key holds two of them and the number of the image.
_LABEL = 1 << 24


class LabelPairs:
    """The pairs of a true and a predicted segment that share pixels, of all images of a batch.

    Void takes part as a segment of label 0. P pairs; segments of different images are different.

    Attributes:
        truth, prediction: the segments of each side.
        area: float64 `[P]`, pixels of each pair.
        void: bool `[P]`, void in the truth.
        crowd: bool `[P]`, a crowd in the truth.
        same_category: bool `[P]`, the categories agree.
    """

    def __init__(self, truth, prediction, isthing: np.ndarray):
        """Pairs of panoptic maps, int64 `[B, H, W]`, of known labels; `isthing` is bool `[C + 1]`, by category id."""
        image = tf.range(tf.shape(truth, tf.int64)[0])[:, None, None] * _LABEL
        # Keys stay below 2**63 for 32,768 images a batch.
        key = (image + truth) * _LABEL + prediction
        pair, _, area = tf.unique_with_counts(tf.reshape(key, [-1]), tf.int64)
        self.area = tf.cast(area, tf.float64)
        truth_label, predicted_label = pair // _LABEL % _LABEL, pair % _LABEL
        self.truth = LabelSegments(pair // _LABEL, truth_label, self.area)
        self.prediction = LabelSegments(pair // _LABEL // _LABEL * _LABEL + predicted_label, predicted_label, self.area)
        self.void = truth_label == VOID
        self.crowd = is_crowd(truth_label, isthing)
        self.same_category = category_of(truth_label) == category_of(predicted_label)


class LabelSegments:
    """The segments of one side of the pairs.

    Attributes:
        label: int64 `[S]`, in the panoptic map.
        area: float64 `[S]`, pixels.
        of_pair: int32 `[P]`, the segment of each pair.
    """

    def __init__(self, key, label, pair_area):
        segment, self.of_pair = tf.unique(key)
        self.count = tf.size(segment)
        self.label = segment % _LABEL
        self.area = self.sum(pair_area)

    def sum(self, values):
        """Sum of the pairs' values over each segment, `[S]`."""
        return tf.math.unsorted_segment_sum(values, self.of_pair, self.count)

    def max(self, values):
        """Largest of the pairs' values over each segment, `[S]`."""
        return tf.math.unsorted_segment_max(values, self.of_pair, self.count)

    def area_at_pairs(self):
        """Area of each pair's segment, `[P]`."""
        return tf.gather(self.area, self.of_pair)


def is_crowd(label, isthing: np.ndarray):
    """Which labels are crowds, things with instance 0; bool of the shape of `label`."""
    return tf.gather(isthing, category_of(label)) & (instance_of(label) == 0)
