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
from tfpanoptic.metrics.label_pairs import LabelPairs, is_crowd
from tfpanoptic.metrics.unknown_labels import UnknownLabels
from tfpanoptic.panoptic_map import VOID, category_of


@keras.saving.register_keras_serializable("tfpanoptic")
class PanopticQuality(keras.metrics.Metric):
    """PQ, SQ and RQ of all categories, of the things and of the stuff.

    The state is additive: `iou` float64, `true_positives`, `false_positives` and `false_negatives`
    int64, `[C + 1]` each, by category id. Replicas are summed when it is read.

    Args:
        categories: the category table of both maps, or the text that its `to_json` gives.
        name: of the metric.
        dtype: taken as of any Keras metric; the state has types of its own.
    """

    def __init__(self, categories: CategoryTable | str, name: str = "pq", dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.categories = table = CategoryTable.of(categories)
        size = (len(table) + 1,)
        self._isthing = table.isthing
        self.iou = self.add_variable(size, "zeros", "float64", name="iou")
        self.true_positives = self.add_variable(size, "zeros", "int64", name="true_positives")
        self.false_positives = self.add_variable(size, "zeros", "int64", name="false_positives")
        self.false_negatives = self.add_variable(size, "zeros", "int64", name="false_negatives")
        self._unknown = UnknownLabels(self, table)

    def get_config(self) -> dict:
        """What Keras stores of the metric."""
        return {**super().get_config(), "categories": self.categories.to_json()}

    def update_state(self, truth, prediction, sample_weight=None):
        """Counts the segments of a batch.

        Args:
            truth, prediction: panoptic maps, int32 `[B, H, W]`.
            sample_weight: must be None; a segment counts once.

        Raises:
            ValueError: a sample weight, or maps of another type, rank or of two shapes.
            InputError: a label that no panoptic map of these categories has; in a graph it is an
                InvalidArgumentError. XLA does not compile this metric.
        """
        if sample_weight is not None:
            raise ValueError("panoptic quality takes no sample weights")
        matches = _Matches(LabelPairs(*self._unknown.left_out(truth, prediction), self._isthing), self._isthing)
        for variable, counted in (
            (self.iou, matches.iou_sums()),
            (self.true_positives, matches.true_positives()),
            (self.false_positives, matches.false_positives()),
            (self.false_negatives, matches.false_negatives()),
        ):
            variable.assign_add(counted)

    def result(self) -> dict[str, tf.Tensor]:
        """Scalars `pq`, `sq`, `rq`, and the same with `_things` and `_stuff`, as fractions.

        A group without any segment is NaN.

        Raises:
            InputError: there was an unknown label; where the result is in a graph, it is NaN.
        """
        qualities, present = self._by_category()
        groups = {"": np.ones_like(self._isthing), "_things": self._isthing, "_stuff": ~self._isthing}
        return {
            name + suffix: self._unknown.checked(_mean_where(quality, present & group))
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
        self._unknown.require_none()
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


class _Matches:
    """Which of the pairs of a batch match, and what is counted of each category."""

    def __init__(self, pairs: LabelPairs, isthing: np.ndarray):
        self.pairs, self.isthing = pairs, isthing
        on_void = pairs.prediction.sum(tf.where(pairs.void, pairs.area, 0))
        on_crowd = pairs.prediction.sum(tf.where(pairs.crowd & pairs.same_category, pairs.area, 0))
        self.ignored = (on_void + on_crowd) / pairs.prediction.area

        union = pairs.truth.area_at_pairs() + pairs.prediction.area_at_pairs() - pairs.area
        union -= tf.gather(on_void, pairs.prediction.of_pair)
        self.category = category_of(tf.gather(pairs.prediction.label, pairs.prediction.of_pair))
        comparable = pairs.same_category & ~pairs.crowd & ~pairs.void
        self.iou = tf.where(comparable, pairs.area / tf.maximum(union, 1), 0)
        self.matched = self.iou > 0.5

    def iou_sums(self):
        """float64 `[C + 1]`."""
        return tf.math.unsorted_segment_sum(tf.where(self.matched, self.iou, 0), self.category, len(self.isthing))

    def true_positives(self):
        """int64 `[C + 1]`."""
        return self._count(self.category, self.matched)

    def false_positives(self):
        """int64 `[C + 1]`: predicted segments without a match, but those mostly on void or a crowd of theirs."""
        segments = self.pairs.prediction
        matched = segments.sum(tf.cast(self.matched, tf.float64)) > 0
        counted = ~matched & (self.ignored <= 0.5) & (segments.label != VOID)
        return self._count(category_of(segments.label), counted)

    def false_negatives(self):
        """int64 `[C + 1]`: true segments without a match, but crowds."""
        segments = self.pairs.truth
        matched = segments.sum(tf.cast(self.matched, tf.float64)) > 0
        counted = ~matched & ~is_crowd(segments.label, self.isthing) & (segments.label != VOID)
        return self._count(category_of(segments.label), counted)

    def _count(self, category, counted):
        return tf.math.unsorted_segment_sum(tf.cast(counted, tf.int64), category, len(self.isthing))


def _mean_where(values, mask):
    """Mean of the masked values; NaN without any."""
    mask = tf.cast(mask, values.dtype)
    return tf.reduce_sum(values * mask) / tf.reduce_sum(mask)


def _number(value) -> float | None:
    return None if np.isnan(value) else float(value)
