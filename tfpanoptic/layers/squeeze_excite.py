"""Channels weighed by what the whole map shows."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SqueezeExcite(keras.layers.Layer):
    """Every channel of [B, h, w, C] times a gate in 0..1 computed from the channels' means.

    Args:
        channels: width between the two 1x1 convolutions.

    Source: Hu et al. 2018; the gate is a plain sigmoid as in DeepLab2 (`keras.applications` has a hard one).
    """

    def __init__(self, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.reduce = keras.layers.Conv2D(channels, 1, activation="relu", dtype=self.dtype_policy, name="reduce")

    def build(self, input_shape):
        """Creates the weights of both convolutions."""
        self.expand = keras.layers.Conv2D(
            input_shape[-1], 1, activation="sigmoid", dtype=self.dtype_policy, name="expand"
        )
        self.reduce.build(input_shape)
        self.expand.build((*input_shape[:-1], self.channels))

    def call(self, x):
        """`x` times its gates."""
        return x * self.expand(self.reduce(ops.mean(x, axis=(1, 2), keepdims=True)))
