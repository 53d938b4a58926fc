"""The decoder of the DeepLab family: a coarse map refined by finer ones, one after the other."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfpanoptic.layers.conv import ConvNorm, SeparableConvNorm
from tfpanoptic.layers.resize_like import ResizeLike


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SkipDecoder(keras.layers.Layer):
    """A coarse map on the grid of the last skip: [coarse [B, h, w, C], skips...] -> [B, H, W, channels].

    For every skip, from coarse to fine: enlarge, append the skip reduced by a 1x1 convolution, fuse.

    Args:
        skip_channels: width of each reduced skip.
        channels: width of each fusion.
        kernel_size: of the fusions.
        separable: fuse by a depthwise separable convolution (DeepLab2) rather than by a plain one.
        align_corners: how the coarse map is enlarged.
        epsilon, momentum: of the batch normalisations.

    Source: Cheng et al. 2020, figure 2; DeepLab2 `model/decoder/panoptic_deeplab.py`.
    """

    def __init__(
        self,
        skip_channels: tuple[int, ...],
        channels: int,
        kernel_size: int = 5,
        separable: bool = True,
        align_corners: bool = True,
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._arguments: dict[str, Any] = {
            "skip_channels": tuple(skip_channels),
            "channels": channels,
            "kernel_size": kernel_size,
            "separable": separable,
            "align_corners": align_corners,
            "epsilon": epsilon,
            "momentum": momentum,
        }
        shared = {"epsilon": epsilon, "momentum": momentum, "dtype": self.dtype_policy}
        fusion = SeparableConvNorm if separable else ConvNorm
        numbers = range(1, len(skip_channels) + 1)
        self.resize = ResizeLike(align_corners, dtype=self.dtype_policy, name="resize")
        self.reduce = [
            ConvNorm(width, 1, name=f"reduce{n}", **shared) for n, width in zip(numbers, skip_channels, strict=True)
        ]
        self.fuse = [fusion(channels, kernel_size, name=f"fuse{n}", **shared) for n in numbers]

    def build(self, input_shape):
        """Creates the weights of every reduction and fusion."""
        coarse, *skips = input_shape
        width = coarse[-1]
        for reduce, fuse, skip, reduced in zip(
            self.reduce, self.fuse, skips, self._arguments["skip_channels"], strict=True
        ):
            reduce.build(skip)
            fuse.build((*skip[:-1], width + reduced))
            width = self._arguments["channels"]

    def call(self, inputs, training=None):
        """The refined map; `inputs` is the list [coarse map, skips from coarse to fine]."""
        x, *skips = inputs
        for reduce, fuse, skip in zip(self.reduce, self.fuse, skips, strict=True):
            skip = reduce(skip, training=training)
            x = fuse(ops.concatenate([self.resize(x, skip), skip], axis=-1), training=training)
        return x

    def compute_output_shape(self, input_shape):
        """The last skip's grid, `channels` wide; without skips the coarse map's shape."""
        return (*input_shape[-1][:-1], self._arguments["channels"]) if len(input_shape) > 1 else input_shape[0]

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._arguments}
