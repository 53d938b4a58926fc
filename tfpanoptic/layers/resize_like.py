"""Resizing one map to the grid of another."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.resize import resize_bilinear


@keras.saving.register_keras_serializable(package="tfpanoptic")
class ResizeLike(keras.layers.Layer):
    """`x` [B, h, w, C] on the grid of `like` [B, H, W, *]: [B, H, W, C], bilinear.

    Args:
        align_corners: True for aligned corners, False for half-pixel centres.
    """

    def __init__(self, align_corners: bool, **kwargs):
        super().__init__(**kwargs)
        self.align_corners = align_corners

    def call(self, x, like):
        """`x` enlarged or shrunk to the height and width of `like`."""
        return resize_bilinear(x, ops.shape(like)[1:3], self.align_corners)
