"""A prediction for every cell of a map."""

from __future__ import annotations

from typing import Any

import keras

from tfpanoptic.layers.conv import ConvNorm, SeparableConvNorm


@keras.saving.register_keras_serializable(package="tfpanoptic")
class DenseHead(keras.layers.Layer):
    """One k x k convolution, then a linear 1x1 one: [B, h, w, C] -> float32 [B, h, w, outputs] under any policy.

    Args:
        channels: width between the two convolutions.
        outputs: channels of the prediction.
        kernel_size: of the first convolution.
        separable: whether the first convolution is depthwise separable (DeepLab2) or plain.
        epsilon, momentum: of the batch normalisation.

    Source: Cheng et al. 2020, section 3.2; initialisation of the last convolution from DeepLab2
    `model/decoder/panoptic_deeplab.py`.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        kernel_size: int = 5,
        separable: bool = True,
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._arguments: dict[str, Any] = {
            "channels": channels,
            "outputs": outputs,
            "kernel_size": kernel_size,
            "separable": separable,
            "epsilon": epsilon,
            "momentum": momentum,
        }
        hidden = SeparableConvNorm if separable else ConvNorm
        self.hidden = hidden(
            channels, kernel_size, epsilon=epsilon, momentum=momentum, dtype=self.dtype_policy, name="hidden"
        )
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
        self.predict.build((*input_shape[:-1], self._arguments["channels"]))

    def call(self, x, training=None):
        """The prediction, without activation."""
        return self.predict(self.hidden(x, training=training))

    def compute_output_spec(self, x, training=None):
        """The input's grid, `outputs` wide, float32."""
        return keras.KerasTensor((*x.shape[:-1], self._arguments["outputs"]), dtype="float32")

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._arguments}
