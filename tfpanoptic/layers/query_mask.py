"""Masked attention: a query looks where it said that its mask is, less and less often as training goes on."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.resize import resize_bilinear
from tfpanoptic.ops.sampling import random_uniform

# Source: EoMT `training/lightning_module.py` (`mask_annealing`).
POWER = 0.9


@keras.saving.register_keras_serializable(package="tfpanoptic")
class QueryMask(keras.layers.Layer):
    """Mask logits [B, H, W, Q] -> which patches each query may attend to, bool [B, Q, h * w]; all outside training.

    A patch is allowed where the logits, resized to the grid of patches without a filter against aliasing, are above 0.
    With a probability that falls from 1 at step `start` to 0 at step `end`, as (1 - progress) ** 0.9, a query keeps
    its mask; else it sees every patch.

    Args:
        start, end: steps; `end` is above `start`.
        draw: sets the draws of one network apart; see `ops.sampling`.

    Source: EoMT `models/eomt.py` (`_attn_mask`, `_disable_attn_mask`).
    """

    def __init__(self, start: int, end: int, draw: int = 0, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if end <= start:
            raise ValueError(f"end must be above start {start}, got {end}")
        self.start, self.end, self.draw = start, end, draw
        self.built = True

    def call(self, mask_logits, patches, seed, step, training=None):
        """The mask.

        Args:
            mask_logits: float32 [B, H, W, Q].
            patches: [B, h, w, ...]; only its height and width matter.
            seed: int32 [B, 2], of each image.
            step: int32 [B], updates that were made.
        """
        batch, height, width = ops.shape(patches)[:3]
        queries = mask_logits.shape[-1]
        if not training:
            return ops.ones((batch, queries, height * width), "bool")
        logits = resize_bilinear(ops.stop_gradient(mask_logits), (height, width), align_corners=False)
        allowed = ops.transpose(ops.reshape(logits, (batch, height * width, queries)), (0, 2, 1)) > 0
        masked = random_uniform(seed, (queries,), self.draw) <= self._probability(step)
        return ops.logical_or(allowed, ops.expand_dims(ops.logical_not(masked), 2))

    def _probability(self, step):
        """float32 [B, 1]; below 0 where no query is masked, so that a draw of 0 is none."""
        progress = (ops.cast(step, "float32") - self.start) / float(self.end - self.start)
        probability = (1.0 - ops.clip(progress, 0.0, 1.0)) ** POWER
        return ops.expand_dims(ops.where(step >= self.end, -1.0, probability), 1)

    def compute_output_spec(self, mask_logits, patches, seed, step, training=None):
        """Height and width may be unknown."""
        batch, height, width = patches.shape[:3]
        count = None if height is None or width is None else height * width
        return keras.KerasTensor((batch, mask_logits.shape[-1], count), "bool")
