"""The semantic branch of Panoptic FPN."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.layers.conv import ConvNorm
from tfpanoptic.layers.norm import Norm
from tfpanoptic.ops.resize import resize_bilinear


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SemanticFPN(keras.layers.Layer):
    """Levels of strides 4, 8, 16, 32 -> logits float32 [B, h, w, outputs] at stride 4, under any policy.

    A level of stride 4 * 2 ** n passes n times a 3x3 convolution, normalisation, ReLU and enlargement by two, the
    finest one a convolution alone; then all are added.

    Args:
        channels: of the branch.
        outputs: channels of the prediction.
        norm: the normalisation.

    Source: Kirillov et al. 2019 (Panoptic FPN), section 3.1; Detectron2 `modeling/meta_arch/semantic_seg.py`.
    """

    def __init__(self, channels: int, outputs: int, norm: Norm = Norm("group", epsilon=1e-5), **kwargs):
        super().__init__(**kwargs)
        self.channels, self.outputs, self.norm = channels, outputs, Norm(*norm)
        self.predict = keras.layers.Conv2D(outputs, 1, kernel_initializer="he_normal", dtype="float32", name="logits")

    def build(self, input_shape):
        """Creates the weights of all levels and of the prediction."""
        self.branches = []
        for number, shape in enumerate(input_shape):
            convs = []
            for place in range(max(1, number)):
                conv = ConvNorm(
                    self.channels, 3, norm=self.norm, dtype=self.dtype_policy, name=f"p{number + 2}_conv{place + 1}"
                )
                conv.build(shape if place == 0 else (*shape[:-1], self.channels))
                convs.append(conv)
            self.branches.append(convs)
        self.predict.build((*input_shape[0][:-1], self.channels))

    def call(self, levels, training=None):
        """The logits of a list of levels, each half as large as the one before."""
        total = self.branches[0][0](levels[0], training=training)
        for convs, x in zip(self.branches[1:], levels[1:], strict=True):
            for conv in convs:
                x = conv(x, training=training)
                height, width = ops.shape(x)[1:3]
                x = resize_bilinear(x, (2 * height, 2 * width), align_corners=False)
            total = total + x
        return self.predict(total)

    def compute_output_shape(self, input_shape):
        """The finest level's grid."""
        return (*input_shape[0][:-1], self.outputs)
