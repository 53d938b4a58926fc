"""The decoder of the DeepLab family: a coarse map refined by finer ones, one after the other."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.layers.conv import ConvNorm, SeparableConvNorm
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.resize_like import ResizeLike


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SkipDecoder(keras.layers.Layer):
    """A coarse map on the grid of the last skip: [coarse [B, h, w, C], skips...] -> [B, H, W, channels].

    For every skip, from coarse to fine: enlarge, append the skip reduced by a 1x1 convolution, fuse. Without skips
    the coarse map stays as it is.

    Args:
        skip_channels: width of each reduced skip.
        channels: width of each fusion.
        kernel_size: of the fusions.
        separable: fuse by a depthwise separable convolution (DeepLab2) rather than by a plain one.
        align_corners: how the coarse map is enlarged.
        norm: the normalisation of all convolutions.

    Source: Cheng et al. 2020, figure 2; DeepLab2 `model/decoder/panoptic_deeplab.py`.
    """

    def __init__(
        self,
        skip_channels: tuple[int, ...],
        channels: int,
        kernel_size: int = 5,
        separable: bool = True,
        align_corners: bool = True,
        norm: Norm = Norm(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.skip_channels, self.channels = tuple(skip_channels), channels
        dtype = self.dtype_policy
        fusion = SeparableConvNorm if separable else ConvNorm
        numbers = range(1, len(skip_channels) + 1)
        self.resize = ResizeLike(align_corners, dtype=dtype, name="resize")
        self.reduce = [
            ConvNorm(width, 1, norm=norm, dtype=dtype, name=f"reduce{n}")
            for n, width in zip(numbers, skip_channels, strict=True)
        ]
        self.fuse = [fusion(channels, kernel_size, norm=norm, dtype=dtype, name=f"fuse{n}") for n in numbers]

    def build(self, input_shape):
        """Creates the weights of every reduction and fusion."""
        coarse, *skips = input_shape
        width = coarse[-1]
        for reduce, fuse, skip, reduced in zip(self.reduce, self.fuse, skips, self.skip_channels, strict=True):
            reduce.build(skip)
            fuse.build((*skip[:-1], width + reduced))
            width = self.channels

    def call(self, inputs, training=None):
        """The refined map; `inputs` is the list [coarse map, skips from coarse to fine]."""
        x, *skips = inputs
        for reduce, fuse, skip in zip(self.reduce, self.fuse, skips, strict=True):
            skip = reduce(skip, training=training)
            x = fuse(ops.concatenate([self.resize(x, skip), skip], axis=-1), training=training)
        return x
