"""The rotary positions of an image's patches, once for all blocks."""

from __future__ import annotations

import math

import keras
from keras import ops

from tfpanoptic.ops.rotary import rotary_angles
from tfpanoptic.ops.sampling import random_uniform


@keras.saving.register_keras_serializable(package="tfpanoptic")
class RotaryPositions(keras.layers.Layer):
    """Patches [B, h, w, C] -> cosines and sines of their angles, float32 [B, 2, h * w, head_size]; see `ops/rotary.py`.

    Args:
        head_size: channels of a head, a multiple of 4.
        rescale: in training the places of an image are multiplied by a factor between 1 / rescale and rescale, drawn
            from its seed on a logarithmic scale; 1 leaves them.
        draw: sets the draws of one network apart; see `ops.sampling`.

    Raises:
        ValueError: `head_size` is no multiple of 4.

    Source: DINOv3, `pos_embed_rope_rescale_coords`; there one factor is drawn for a whole batch, here one for each
    image, as all that is random here belongs to an image.
    """

    def __init__(self, head_size: int, rescale: float = 1.0, draw: int = 0, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if head_size % 4:
            raise ValueError(f"rotary positions need heads of a multiple of 4 channels, got {head_size}")
        self.head_size, self.rescale, self.draw = head_size, rescale, draw
        self.built = True

    def call(self, patches, seed=None, training=None):
        """Cosines and sines of the angles.

        Args:
            patches: float [B, h, w, C]; only its shape matters.
            seed: int32 [B, 2]; None, as in inference, leaves the places as they are.
        """
        batch, height, width = ops.shape(patches)[:3]
        factor = ops.ones((batch,), "float32")
        if training and seed is not None and self.rescale != 1.0:
            drawn = random_uniform(seed, (1,), self.draw)[:, 0]
            factor = ops.exp(math.log(self.rescale) * (2.0 * drawn - 1.0))
        angles = rotary_angles((height, width), self.head_size, factor)
        return ops.stack([ops.cos(angles), ops.sin(angles)], axis=1)

    def compute_output_spec(self, patches, seed=None, training=None):
        """Height and width may be unknown."""
        batch, height, width = patches.shape[:3]
        count = None if height is None or width is None else height * width
        return keras.KerasTensor((batch, 2, count, self.head_size), "float32")
