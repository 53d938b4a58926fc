"""The decoder of DeeperLab: a coarse and a fine map joined on the coarse grid, and opened to the fine one."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.layers.conv import ConvNorm, SeparableConvNorm
from tfpanoptic.layers.norm import Norm
from tfpanoptic.ops.space_depth import depth_to_space, space_to_depth


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SpaceToDepthDecoder(keras.layers.Layer):
    """A coarse map on the grid of a fine one: [coarse [B, h, w, C], fine [B, H, W, D]] -> [B, H, W, channels].

    Both are reduced by 1x1 convolutions. The blocks of the fine map become channels on the coarse grid, two large
    convolutions fuse them with the coarse map, and what comes out is opened to blocks again. Large kernels cost less
    on the coarse grid, and no map of many channels is held on the fine one before the last step.

    Args:
        coarse_channels, fine_channels: widths of the reduced maps.
        hidden_channels: width of the first fusion.
        channels: of the result; the second fusion has block**2 times as many.
        block: fine cells along a side of a coarse one; h is ceil(H / block).
        kernel_size: of the fusions.
        separable: fuse by depthwise separable convolutions rather than by plain ones.
        norm: the normalisation of all convolutions.

    Source: Yang et al. 2019, section 3.1: two depthwise separable 7x7 convolutions, the last of 4096 channels, opened
    to 256. The other widths are not public: own choice.
    """

    def __init__(
        self,
        coarse_channels: int = 256,
        fine_channels: int = 32,
        hidden_channels: int = 1024,
        channels: int = 256,
        block: int = 4,
        kernel_size: int = 7,
        separable: bool = True,
        norm: Norm = Norm(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.block, self.channels = block, channels
        dtype = self.dtype_policy
        fusion = SeparableConvNorm if separable else ConvNorm
        self.reduce_coarse = ConvNorm(coarse_channels, 1, norm=norm, dtype=dtype, name="reduce_coarse")
        self.reduce_fine = ConvNorm(fine_channels, 1, norm=norm, dtype=dtype, name="reduce_fine")
        self.fuse1 = fusion(hidden_channels, kernel_size, norm=norm, dtype=dtype, name="fuse1")
        self.fuse2 = fusion(block**2 * channels, kernel_size, norm=norm, dtype=dtype, name="fuse2")
        self._widths = coarse_channels + block**2 * fine_channels, hidden_channels

    def build(self, input_shape):
        """Creates the weights of the reductions and fusions."""
        coarse, fine = input_shape
        self.reduce_coarse.build(coarse)
        self.reduce_fine.build(fine)
        for fuse, width in zip((self.fuse1, self.fuse2), self._widths, strict=True):
            fuse.build((*coarse[:-1], width))

    def call(self, inputs, training=None):
        """The joined map; `inputs` is the list [coarse map, fine map]."""
        coarse, fine = inputs
        height, width = ops.shape(fine)[1:3]
        blocks = space_to_depth(self.reduce_fine(fine, training=training), self.block)
        x = ops.concatenate([self.reduce_coarse(coarse, training=training), blocks], axis=-1)
        x = self.fuse2(self.fuse1(x, training=training), training=training)
        # The last blocks may reach over the fine map.
        return depth_to_space(x, self.block)[:, :height, :width]

    def compute_output_shape(self, input_shape):
        """The fine map's grid, `channels` wide; with unknown sizes, JAX cannot see that both inputs have one grid."""
        return (*input_shape[1][:-1], self.channels)
