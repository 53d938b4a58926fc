"""Parsing covering as a Keras metric: in graph, over panoptic maps, under every strategy.

The rules are those of `evaluation.parsing_covering`: true segments take the best IoU of their category,
weighted by their share of the image; crowds are left out and ignored like void. The share is that of
the map: void padding makes the segments of an image weigh less against those of other images.

Source: Yang et al. 2019 (DeeperLab).
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
class ParsingCovering(keras.metrics.Metric):
    """How well the true segments are covered by single predicted segments.

    The state is additive: `covered` and `weight`, float64 `[C + 1]`, by category id. Replicas are summed
    when it is read.

    Args:
        categories: the category table of both maps, or the text that its `to_json` gives.
        name: of the metric.
        dtype: taken as of any Keras metric; the state has types of its own.
    """

    def __init__(self, categories: CategoryTable | str, name: str = "parsing_covering", dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.categories = table = CategoryTable.of(categories)
        size = (len(table) + 1,)
        self._isthing = table.isthing
        self.covered = self.add_variable(size, "zeros", "float64", name="covered")
        self.weight = self.add_variable(size, "zeros", "float64", name="weight")
        self._unknown = UnknownLabels(self, table)

    def get_config(self) -> dict:
        """What Keras stores of the metric."""
        return {**super().get_config(), "categories": self.categories.to_json()}

    def update_state(self, truth, prediction, sample_weight=None):
        """Adds the coverings of a batch.

        Args:
            truth, prediction: panoptic maps, int32 `[B, H, W]`.
            sample_weight: must be None; a segment weighs its share of the image.

        Raises:
            ValueError: a sample weight, or maps of another type, rank or of two shapes.
            InputError: a label that no panoptic map of these categories has; in a graph it is an
                InvalidArgumentError. XLA does not compile this metric.
        """
        if sample_weight is not None:
            raise ValueError("parsing covering takes no sample weights")
        pairs = LabelPairs(*self._unknown.left_out(truth, prediction), self._isthing)
        ignored = pairs.void | pairs.crowd
        predicted_area = pairs.prediction.sum(tf.where(~ignored, pairs.area, 0))
        union = pairs.truth.area_at_pairs() + tf.gather(predicted_area, pairs.prediction.of_pair) - pairs.area
        best = pairs.truth.max(tf.where(pairs.same_category & ~ignored, pairs.area / tf.maximum(union, 1), 0))

        label = pairs.truth.label
        counted = (label != VOID) & ~is_crowd(label, self._isthing)
        image_area = tf.cast(tf.reduce_prod(tf.shape(truth)[1:]), tf.float64)
        share = tf.where(counted, pairs.truth.area / image_area, 0)
        for variable, value in ((self.covered, share * best), (self.weight, share)):
            variable.assign_add(tf.math.unsorted_segment_sum(value, category_of(label), len(self._isthing)))

    def result(self) -> dict[str, tf.Tensor]:
        """Scalar `pc`, a fraction; NaN without any true segment.

        Raises:
            InputError: there was an unknown label; where the result is in a graph, it is NaN.
        """
        covering, present = self._by_category()
        mean = tf.reduce_sum(covering) / tf.math.count_nonzero(present, dtype=tf.float64)
        return {"pc": self._unknown.checked(mean)}

    def summary(self) -> dict:
        """What `evaluation.parsing_covering.summarize_rows` gives: fractions, None without true segments."""
        covering, present = (value.numpy() for value in self._by_category())
        return {
            "pc": float(np.mean(covering[present])) if present.any() else None,
            "n": int(present.sum()),
            "per_category": {c.name: float(covering[c.id]) if present[c.id] else None for c in self.categories},
        }

    def _by_category(self):
        """Covering, float64 `[C + 1]`, 0 where there is none, and which categories have any, bool `[C + 1]`."""
        self._unknown.require_none()
        weight = tf.convert_to_tensor(self.weight)
        return tf.math.divide_no_nan(tf.convert_to_tensor(self.covered), weight), weight > 0
