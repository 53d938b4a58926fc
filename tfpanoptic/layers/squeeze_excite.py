"""Channels weighed by what the whole map shows."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SqueezeExcite(keras.layers.Layer):
    """Every channel of [B, h, w, C] times a gate in 0..1 computed from the channels' means.

    Args:
        channels: width between the two 1x1 convolutions.
        gate: "sigmoid" (DeepLab2) or "hard_sigmoid" (the paper of MobileNetV3, `keras.applications`).

    Source: Hu et al. 2018; Howard et al. 2019, section 5.3.
    """

    def __init__(self, channels: int, gate: str = "sigmoid", **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self._gate = gate
        self.reduce = keras.layers.Conv2D(channels, 1, activation="relu", dtype=self.dtype_policy, name="reduce")

    def build(self, input_shape):
        """Creates the weights of both convolutions."""
        self.expand = keras.layers.Conv2D(
            input_shape[-1], 1, activation=self._gate, dtype=self.dtype_policy, name="expand"
        )
        self.reduce.build(input_shape)
        self.expand.build((*input_shape[:-1], self.channels))

    def call(self, x):
        """`x` times its gates."""
        return x * self.expand(self.reduce(ops.mean(x, axis=(1, 2), keepdims=True)))


@keras.saving.register_keras_serializable(package="tfpanoptic")
class EffectiveSqueezeExcite(keras.layers.Layer):
    """Every channel of [B, h, w, C] times a hard sigmoid of one 1x1 convolution of the channels' means.

    Source: Lee and Park 2020 (CenterMask), section 3.3; DeepLab2 `model/layers/squeeze_and_excite.py`.
    """

    def build(self, input_shape):
        """Creates the weights of the convolution."""
        self.conv = keras.layers.Conv2D(
            input_shape[-1], 1, activation="hard_sigmoid", dtype=self.dtype_policy, name="conv"
        )
        self.conv.build((*input_shape[:1], 1, 1, input_shape[-1]))

    def call(self, x):
        """`x` times its gates."""
        return x * self.conv(ops.mean(x, axis=(1, 2), keepdims=True))
