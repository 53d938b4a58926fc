"""Panoptic quality as a Keras metric: in graph, over panoptic maps, under every strategy.

A panoptic map holds at most one crowd of a category, and one segment of a stuff category; where files
hold more, `evaluation.panoptic_quality` is the measure.

Source: Kirillov et al. 2019, section 4.1; the rules for void and crowds are those of the COCO panoptic
API (`evaluation.py`).
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfpanoptic.categories import CategoryTable
from tfpanoptic.panoptic_map import VOID, category_of, instance_of

# Labels of panoptic maps are below this, so an int64 key holds two of them and the number of the image.
_LABEL = 1 << 24


class PanopticQuality(keras.metrics.Metric):
    """PQ, SQ and RQ of all categories, of the things and of the stuff.

    The state is additive: `iou` float64, `true_positives`, `false_positives` and `false_negatives`
    int64, `[C + 1]` each, by category id. Replicas are summed when it is read.

    Args:
        categories: the category table of both maps.
        name: of the metric.
    """

    def __init__(self, categories: CategoryTable, name: str = "pq"):
        super().__init__(name=name)
        self.categories = categories
        size = (len(categories) + 1,)
        self._isthing = np.zeros(size, bool)
        self._isthing[list(categories.thing_ids)] = True
        self.iou = self.add_variable(size, "zeros", "float64", name="iou")
        self.true_positives = self.add_variable(size, "zeros", "int64", name="true_positives")
        self.false_positives = self.add_variable(size, "zeros", "int64", name="false_positives")
        self.false_negatives = self.add_variable(size, "zeros", "int64", name="false_negatives")

    def update_state(self, truth, prediction, sample_weight=None):
        """Counts the segments of a batch.

        Args:
            truth, prediction: panoptic maps, int32 `[B, H, W]`.
            sample_weight: must be None; a segment counts once.

        Raises:
            ValueError: a sample weight.
        """
        if sample_weight is not None:
            raise ValueError("panoptic quality takes no sample weights")
        pairs = _Pairs(truth, prediction, self._isthing)
        for variable, counted in (
            (self.iou, pairs.iou_sums()),
            (self.true_positives, pairs.true_positives()),
            (self.false_positives, pairs.false_positives()),
            (self.false_negatives, pairs.false_negatives()),
        ):
            variable.assign_add(counted)

    def result(self) -> dict[str, tf.Tensor]:
        """Scalars `pq`, `sq`, `rq`, and the same with `_things` and `_stuff`, as fractions.

        A group without any segment is NaN.
        """
        qualities, present = self._by_category()
        groups = {"": np.ones_like(self._isthing), "_things": self._isthing, "_stuff": ~self._isthing}
        return {
            name + suffix: _mean_where(quality, present & group)
            for suffix, group in groups.items()
            for name, quality in qualities.items()
        }

    def summary(self) -> dict:
        """What `evaluation.panoptic_quality.summarize` gives: fractions, counts, None without segments."""
        qualities, present = self._by_category()
        present = present.numpy()
        groups = {"all": np.ones_like(self._isthing), "things": self._isthing, "stuff": ~self._isthing}
        summary: dict = {
            group: {
                **{name: _number(_mean_where(quality, present & mask)) for name, quality in qualities.items()},
                "n": int(np.sum(present & mask)),
            }
            for group, mask in groups.items()
        }
        counts = {"tp": self.true_positives, "fp": self.false_positives, "fn": self.false_negatives}
        counts = {name: keras.ops.convert_to_numpy(variable) for name, variable in counts.items()}
        summary["per_category"] = {
            category.name: {
                **{
                    name: float(quality[category.id]) if present[category.id] else None
                    for name, quality in qualities.items()
                },
                **{name: int(count[category.id]) for name, count in counts.items()},
            }
            for category in self.categories
        }
        return summary

    def _by_category(self):
        """Qualities, float64 `[C + 1]` by name, and which categories have any segment, bool `[C + 1]`."""
        iou, found, extra, missed = (
            tf.cast(tf.convert_to_tensor(variable), tf.float64)
            for variable in (self.iou, self.true_positives, self.false_positives, self.false_negatives)
        )
        weight = found + 0.5 * extra + 0.5 * missed
        qualities = {
            "pq": tf.math.divide_no_nan(iou, weight),
            "sq": tf.math.divide_no_nan(iou, found),
            "rq": tf.math.divide_no_nan(found, weight),
        }
        return qualities, weight > 0


class _Pairs:
    """The intersections of the segments of two batches of panoptic maps, and how they match."""

    def __init__(self, truth, prediction, isthing: np.ndarray):
        self.size = len(isthing)
        image = tf.range(tf.shape(truth, tf.int64)[0])[:, None, None] * _LABEL
        # Keys stay below 2**63 for 32,768 images a batch.
        key = (image + tf.cast(truth, tf.int64)) * _LABEL + tf.cast(prediction, tf.int64)
        pair, _, area = tf.unique_with_counts(tf.reshape(key, [-1]), tf.int64)
        area = tf.cast(area, tf.float64)
        truth_label, predicted_label = pair // _LABEL % _LABEL, pair % _LABEL
        self.truth = _Segments(pair // _LABEL, truth_label, area)
        self.prediction = _Segments(pair // _LABEL // _LABEL * _LABEL + predicted_label, predicted_label, area)

        crowd = tf.gather(isthing, category_of(truth_label)) & (instance_of(truth_label) == 0)
        same = category_of(truth_label) == category_of(predicted_label)
        on_void = self.prediction.sum(tf.where(truth_label == VOID, area, 0))
        on_crowd = self.prediction.sum(tf.where(crowd & same, area, 0))
        self.ignored = (on_void + on_crowd) / self.prediction.area

        union = self.truth.area_at_pairs() + self.prediction.area_at_pairs() - area
        union -= tf.gather(on_void, self.prediction.of_pair)
        self.category = category_of(predicted_label)
        comparable = same & ~crowd & (truth_label != VOID)
        self.iou = tf.where(comparable, area / tf.maximum(union, 1), 0)
        self.matched = self.iou > 0.5
        self.isthing = isthing

    def iou_sums(self):
        """float64 `[C + 1]`."""
        return tf.math.unsorted_segment_sum(tf.where(self.matched, self.iou, 0), self.category, self.size)

    def true_positives(self):
        """int64 `[C + 1]`."""
        return self._count(self.category, self.matched)

    def false_positives(self):
        """int64 `[C + 1]`: predicted segments without a match, but those mostly on void or a crowd of theirs."""
        matched = self.prediction.sum(tf.cast(self.matched, tf.float64)) > 0
        counted = ~matched & (self.ignored <= 0.5) & (self.prediction.label != VOID)
        return self._count(category_of(self.prediction.label), counted)

    def false_negatives(self):
        """int64 `[C + 1]`: true segments without a match, but crowds."""
        matched = self.truth.sum(tf.cast(self.matched, tf.float64)) > 0
        label = self.truth.label
        crowd = tf.gather(self.isthing, category_of(label)) & (instance_of(label) == 0)
        return self._count(category_of(label), ~matched & ~crowd & (label != VOID))

    def _count(self, category, counted):
        return tf.math.unsorted_segment_sum(tf.cast(counted, tf.int64), category, self.size)


class _Segments:
    """The segments of one side of the pairs: `label` int64 `[S]`, `area` float64 `[S]`, `of_pair` int32 `[P]`."""

    def __init__(self, key, label, pair_area):
        segment, self.of_pair = tf.unique(key)
        self.count = tf.size(segment)
        self.label = segment % _LABEL
        self.area = self.sum(pair_area)

    def sum(self, values):
        """Sum of the pairs' values over each segment, `[S]`."""
        return tf.math.unsorted_segment_sum(values, self.of_pair, self.count)

    def area_at_pairs(self):
        """Area of each pair's segment, `[P]`."""
        return tf.gather(self.area, self.of_pair)


def _mean_where(values, mask):
    """Mean of the masked values; NaN without any."""
    mask = tf.cast(mask, values.dtype)
    return tf.reduce_sum(values * mask) / tf.reduce_sum(mask)


def _number(value) -> float | None:
    return None if np.isnan(value) else float(value)
