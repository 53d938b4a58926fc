"""The semantic head of UPSNet: one deformable sub-network for all levels of a feature pyramid."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.layers.deformable_conv import DeformableConv
from tfpanoptic.layers.resize_like import ResizeLike


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SharedDeformableHead(keras.layers.Layer):
    """Logits on the grid of the finest level: [[B, h, w, C], coarser levels...] -> float32 [B, h, w, outputs].

    Every level passes the same deformable convolutions, each followed by ReLU. The coarser ones are enlarged to the
    grid of the first, all are concatenated in their order and a linear 1x1 convolution, `logits`, follows, which is
    float32 under any policy.

    Args:
        outputs: channels of the logits.
        filters: of each deformable convolution; (256, 128, 128) on COCO, (128, 128) on Cityscapes.

    Source: Xiong et al. 2019, section 3.2; UPSNet `models/fcn.py`.
    """

    def __init__(self, outputs: int, filters: tuple[int, ...] = (256, 128, 128), **kwargs):
        super().__init__(**kwargs)
        self.filters = tuple(filters)
        dtype = self.dtype_policy
        self.convolutions = [
            DeformableConv(width, activation="relu", dtype=dtype, name=f"conv{number}")
            for number, width in enumerate(filters, start=1)
        ]
        self.resize = ResizeLike(align_corners=False, dtype=dtype, name="resize")
        self.logits = keras.layers.Conv2D(
            outputs, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), dtype="float32", name="logits"
        )

    def build(self, input_shape):
        """Creates the weights that all levels share, and those of the logits."""
        finest = input_shape[0]
        width = finest[-1]
        for convolution, filters in zip(self.convolutions, self.filters, strict=True):
            convolution.build((*finest[:-1], width))
            width = filters
        self.logits.build((*finest[:-1], len(input_shape) * width))

    def call(self, levels):
        """The logits, without activation; `levels` is the list [P2, P3, P4, P5]."""
        features = levels
        for convolution in self.convolutions:
            features = convolution.of_maps(features)
        finest, *coarser = features
        return self.logits(ops.concatenate([finest, *(self.resize(x, finest) for x in coarser)], axis=-1))
