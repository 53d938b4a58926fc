"""The true instances that an image's panoptic logits are trained with."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.kept_instances import kept_instances


@keras.saving.register_keras_serializable(package="tfpanoptic")
class KeepInstances(keras.layers.Layer):
    """1 for a random share of each image's instances, 0 for the rest: int32 [B, N]; see `ops/kept_instances.py`.

    Args:
        fraction: the share.
        draw: sets draws of one network apart; see `ops/sampling.py`.
    """

    def __init__(self, fraction: float, draw: int, **kwargs):
        super().__init__(**kwargs)
        self.fraction, self.draw = fraction, draw

    def call(self, box_category, seed):
        """Which of the places of `box_category` int32 [B, N], 0 in empty ones, are kept for `seed` int32 [B, 2]."""
        return ops.cast(kept_instances(seed, box_category > 0, self.fraction, self.draw), "int32")

    def compute_output_spec(self, box_category, seed):
        """Integers, which Keras would not know."""
        return keras.KerasTensor(box_category.shape, dtype="int32")
