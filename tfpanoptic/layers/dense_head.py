"""A prediction for every cell of a map."""

from __future__ import annotations

import keras

from tfpanoptic.layers.conv import ConvNorm, SeparableConvNorm
from tfpanoptic.layers.norm import Norm


@keras.saving.register_keras_serializable(package="tfpanoptic")
class DenseHead(keras.layers.Layer):
    """One k x k convolution, then a linear 1x1 one: [B, h, w, C] -> float32 [B, h, w, outputs] under any policy.

    Args:
        channels: width between the two convolutions.
        outputs: channels of the prediction.
        kernel_size: of the first convolution.
        separable: whether the first convolution is depthwise separable (DeepLab2) or plain.
        norm: the normalisation after the first convolution.

    Source: Cheng et al. 2020, section 3.2; initialisation of the last convolution from DeepLab2
    `model/decoder/panoptic_deeplab.py`.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        kernel_size: int = 5,
        separable: bool = True,
        norm: Norm = Norm(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = channels
        hidden = SeparableConvNorm if separable else ConvNorm
        self.hidden = hidden(channels, kernel_size, norm=norm, dtype=self.dtype_policy, name="hidden")
        self.predict = keras.layers.Conv2D(
            outputs,
            1,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.01),
            dtype="float32",
            name="predict",
        )

    def build(self, input_shape):
        """Creates the weights of both convolutions."""
        self.hidden.build(input_shape)
        self.predict.build((*input_shape[:-1], self.channels))

    def call(self, x, training=None):
        """The prediction, without activation."""
        return self.predict(self.hidden(x, training=training))
