"""Atrous spatial pyramid pooling: one map seen at several scales."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.layers.conv import ConvNorm, SeparableConvNorm
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.resize_like import ResizeLike
from tfpanoptic.layers.seeded_dropout import SeededDropout


@keras.saving.register_keras_serializable(package="tfpanoptic")
class ASPP(keras.layers.Layer):
    """Features of several receptive fields: [B, h, w, C] -> [B, h, w, channels].

    A 1x1 convolution, one 3x3 convolution a rate, and the image pooling are concatenated in this order,
    projected by a 1x1 convolution and dropped out.

    Args:
        channels: of every branch and of the result.
        rates: dilations of the 3x3 convolutions; (3, 6, 9) at output stride 32, (6, 12, 18) at 16, (12, 24, 36) at 8.
        pool_window: (height, width) in cells of the image pooling's window; None pools over the whole map. A side
            longer than the map's is cut to it.
        dropout: share of the result that training drops.
        dropout_draw: sets the dropouts of one network apart; see `layers.seeded_dropout`.
        align_corners: how the pooled map is enlarged again.
        norm: the normalisation of all convolutions.
        separable: whether the 3x3 convolutions are depthwise separable.

    Source: Chen et al. 2018 (DeepLabv3+, whose convolutions are separable); order, and normalisation after the
    pooling, as in DeepLab2.
    """

    def __init__(
        self,
        channels: int,
        rates: tuple[int, ...],
        pool_window: tuple[int, int] | None = None,
        dropout: float = 0.1,
        dropout_draw: int = 0,
        align_corners: bool = True,
        norm: Norm = Norm(),
        separable: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels, self.pool_window = channels, pool_window
        dtype = self.dtype_policy
        self.pointwise = ConvNorm(channels, 1, norm=norm, dtype=dtype, name="pointwise")
        convolution = SeparableConvNorm if separable else ConvNorm
        self.atrous = [
            convolution(channels, 3, dilation=rate, norm=norm, dtype=dtype, name=f"atrous{number}")
            for number, rate in enumerate(rates, start=1)
        ]
        self.pool = ConvNorm(channels, 1, norm=norm, dtype=dtype, name="pool")
        self.resize = ResizeLike(align_corners, dtype=dtype, name="resize")
        self.project = ConvNorm(channels, 1, norm=norm, dtype=dtype, name="project")
        self.dropout = SeededDropout(dropout, dropout_draw, dtype=dtype, name="dropout")

    def build(self, input_shape):
        """Creates the weights of all branches and of the projection."""
        branches = (self.pointwise, *self.atrous, self.pool)
        for branch in branches:
            branch.build(input_shape)
        self.project.build((*input_shape[:-1], len(branches) * self.channels))

    def call(self, x, seed=None, training=None):
        """The projected pyramid of `x`.

        Args:
            x: float [B, h, w, C].
            seed: int32 [B, 2], of each image; None drops nothing.
        """
        branches = [branch(x, training=training) for branch in (self.pointwise, *self.atrous)]
        pooled = self.pool(_pool(x, self.pool_window), training=training)
        branches.append(self.resize(pooled, x))
        projected = self.project(ops.concatenate(branches, axis=-1), training=training)
        return self.dropout(projected, seed, training=training)

    def compute_output_shape(self, input_shape):
        """The input's grid, `channels` wide; Keras cannot infer a window that is cut to unknown sizes on JAX."""
        return (*input_shape[:-1], self.channels)


def _pool(x, window: tuple[int, int] | None):
    """Means of `x` over all places of a window that lie inside the map; [B, 1, 1, C] without a window."""
    if window is None:
        return ops.mean(x, axis=(1, 2), keepdims=True)
    for axis, length in zip((1, 2), window, strict=True):
        x = _running_mean(x, length, axis)
    return x


def _running_mean(x, length: int, axis: int):
    """Means of `length` neighbours along `axis` (at most the whole axis), from differences of one running sum.

    The map may be smaller than the window and its size known only at run time, which pooling ops refuse.
    """
    size = ops.shape(x)[axis]
    length = min(length, size) if isinstance(size, int) else ops.minimum(length, size)
    sums = ops.cumsum(ops.cast(x, "float32"), axis=axis)
    start = [(0, 0)] * 4
    start[axis] = (1, 0)
    sums = ops.pad(sums, start)
    windows = sums[:, length:] - sums[:, :-length] if axis == 1 else sums[:, :, length:] - sums[:, :, :-length]
    return ops.cast(windows / ops.cast(length, "float32"), x.dtype)
