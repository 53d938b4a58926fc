"""Mean IoU of the categories of the pixels as a Keras metric: in graph, over panoptic maps, under every strategy.

The rules are those of `evaluation.semantic_iou`: void in the truth is left out, crowds count as their
category, a pixel without a prediction is one that its true category misses.

Source: Everingham et al. 2010 (Pascal VOC) and Cordts et al. 2016 (Cityscapes), whose counts run over the
whole dataset.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfpanoptic.categories import CategoryTable
from tfpanoptic.metrics.unknown_labels import UnknownLabels
from tfpanoptic.panoptic_map import category_of


@keras.saving.register_keras_serializable("tfpanoptic")
class SemanticIoU(keras.metrics.Metric):
    """Mean IoU and pixel accuracy.

    The state is additive: `confusion` int64 `[C + 1, C + 1]`, pixels by true and predicted category; void
    is 0. Replicas are summed when it is read.

    Args:
        categories: the category table of both maps, or the text that its `to_json` gives.
        name: of the metric.
        dtype: taken as of any Keras metric; the state has types of its own.
    """

    def __init__(self, categories: CategoryTable | str, name: str = "semantic_iou", dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.categories = table = CategoryTable.of(categories)
        self._size = len(table) + 1
        self.confusion = self.add_variable((self._size, self._size), "zeros", "int64", name="confusion")
        self._unknown = UnknownLabels(self, table)

    def get_config(self) -> dict:
        """What Keras stores of the metric."""
        return {**super().get_config(), "categories": self.categories.to_json()}

    def update_state(self, truth, prediction, sample_weight=None):
        """Counts the pixels of a batch.

        Args:
            truth, prediction: panoptic maps, int32 `[B, H, W]`.
            sample_weight: must be None; a pixel counts once.

        Raises:
            ValueError: a sample weight, or maps of another type, rank or of two shapes.
            InputError: a label that no panoptic map of these categories has; in a graph it is an
                InvalidArgumentError, and under XLA the next `result` raises.
        """
        if sample_weight is not None:
            raise ValueError("semantic IoU takes no sample weights")
        true_category, predicted_category = map(category_of, self._unknown.left_out(truth, prediction))
        key = tf.cast(tf.reshape(true_category * self._size + predicted_category, [-1]), tf.int32)
        # `tf.math.confusion_matrix` scatters pixel by pixel: 20 ms for 640 x 480, this 5 ms.
        pixels = tf.math.bincount(key, minlength=self._size**2, maxlength=self._size**2, dtype=tf.int64)
        self.confusion.assign_add(tf.reshape(pixels, (self._size, self._size)))

    def result(self) -> dict[str, tf.Tensor]:
        """Scalars `miou` and `pixel_accuracy`, as fractions; NaN where there is no pixel.

        Raises:
            InputError: XLA left the assertion of an unknown label out; where the result is in a graph, it is NaN.
        """
        iou, present, accuracy = self._ratios()
        mean = tf.reduce_sum(tf.where(present, iou, 0)) / tf.math.count_nonzero(present, dtype=tf.float64)
        return {"miou": self._unknown.checked(mean), "pixel_accuracy": self._unknown.checked(accuracy)}

    def summary(self) -> dict:
        """What `evaluation.semantic_iou.summarize_rows` gives: fractions, None where there is no pixel."""
        iou, present, accuracy = (ratio.numpy() for ratio in self._ratios())
        return {
            "miou": float(np.mean(iou[present])) if present.any() else None,
            "n": int(present.sum()),
            "pixel_accuracy": None if np.isnan(accuracy) else float(accuracy),
            "per_category": {c.name: float(iou[c.id]) if present[c.id] else None for c in self.categories},
        }

    def _ratios(self):
        """IoU float64 `[C + 1]`, which categories have any pixel, bool `[C + 1]`, and the pixel accuracy."""
        self._unknown.require_none()
        confusion = tf.convert_to_tensor(self.confusion)[1:]  # void in the truth is left out
        right = tf.concat([[0], tf.linalg.diag_part(confusion[:, 1:])], axis=0)
        true_pixels = tf.concat([[0], tf.reduce_sum(confusion, axis=1)], axis=0)
        union = true_pixels + tf.reduce_sum(confusion, axis=0) - right
        present = (union > 0) & (tf.range(self._size) > 0)
        return right / tf.maximum(union, 1), present, tf.reduce_sum(right) / tf.reduce_sum(true_pixels)
