"""Convolution, batch normalisation and activation as one layer: plain, depthwise and separable.

Strided convolutions pad by (k_eff - 1) / 2 on all sides, as DeepLab2 and the PyTorch projects do;
TensorFlow's "same" pads even sizes at the bottom and right only and shifts the grid by half a pixel.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfpanoptic.ops.replicas import replicas_in_sync


def batch_norm(epsilon: float, momentum: float, gamma_initializer="ones", dtype=None) -> keras.layers.Layer:
    """Batch normalisation named `batch_norm`, with statistics over all replicas where there are several.

    Args:
        epsilon: added to the variance; published weights fit one value only (DeepLab2 1e-3, PyTorch projects 1e-5).
        momentum: share of the moving statistics that an update keeps.
    """
    return keras.layers.BatchNormalization(
        epsilon=epsilon,
        momentum=momentum,
        gamma_initializer=gamma_initializer,
        synchronized=replicas_in_sync() > 1,
        dtype=dtype,
        name="batch_norm",
    )


@keras.saving.register_keras_serializable(package="tfpanoptic")
class ConvNorm(keras.layers.Layer):
    """Convolution without bias, batch normalisation, activation: [B, h, w, C] -> [B, ceil(h/s), ceil(w/s), filters].

    Args:
        filters: output channels.
        kernel_size: side of the kernel, odd.
        stride: 1 or more; the grid keeps the top-left cell.
        dilation: distance of the kernel's taps; 1 where `stride` is above 1.
        activation: a Keras activation's name, or None.
        epsilon, momentum: of the batch normalisation.
        gamma_initializer: of the batch normalisation; "zeros" ends a residual branch.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        activation: str | None = "relu",
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        gamma_initializer: str = "ones",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._arguments: dict[str, Any] = {
            "filters": filters,
            "kernel_size": kernel_size,
            "stride": stride,
            "dilation": dilation,
            "activation": activation,
            "epsilon": epsilon,
            "momentum": momentum,
            "gamma_initializer": gamma_initializer,
        }
        self._padding = _explicit_padding(kernel_size, stride)
        self.conv = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=stride,
            padding="valid" if self._padding else "same",
            dilation_rate=dilation,
            use_bias=False,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="conv",
        )
        self.batch_norm = batch_norm(epsilon, momentum, gamma_initializer, self.dtype_policy)
        self._activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Creates the kernel and the normalisation's weights."""
        self.conv.build(input_shape)
        self.batch_norm.build((*input_shape[:-1], self._arguments["filters"]))

    def call(self, x, training=None):
        """The activated, normalised convolution of `x`."""
        x = _pad(x, self._padding)
        return self._activation(self.batch_norm(self.conv(x), training=training))

    def compute_output_shape(self, input_shape):
        """Shape of the result; height and width may be unknown."""
        return self.conv.compute_output_shape(_padded_shape(input_shape, self._padding))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._arguments}


@keras.saving.register_keras_serializable(package="tfpanoptic")
class DepthwiseConvNorm(keras.layers.Layer):
    """Depthwise convolution without bias, batch normalisation, activation: channels stay as they are.

    Args: as `ConvNorm`, without `filters`.
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        activation: str | None = "relu",
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._arguments: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "dilation": dilation,
            "activation": activation,
            "epsilon": epsilon,
            "momentum": momentum,
        }
        self._padding = _explicit_padding(kernel_size, stride)
        self.conv = keras.layers.DepthwiseConv2D(
            kernel_size,
            strides=stride,
            padding="valid" if self._padding else "same",
            dilation_rate=dilation,
            use_bias=False,
            # He et al. 2015 with the true fan-in k * k; Keras' "he_normal" counts the channels into it.
            depthwise_initializer=keras.initializers.TruncatedNormal(stddev=math.sqrt(2.0) / kernel_size),
            dtype=self.dtype_policy,
            name="conv",
        )
        self.batch_norm = batch_norm(epsilon, momentum, dtype=self.dtype_policy)
        self._activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Creates the kernel and the normalisation's weights."""
        self.conv.build(input_shape)
        self.batch_norm.build(input_shape)

    def call(self, x, training=None):
        """The activated, normalised convolution of `x`."""
        x = _pad(x, self._padding)
        return self._activation(self.batch_norm(self.conv(x), training=training))

    def compute_output_shape(self, input_shape):
        """Shape of the result; height and width may be unknown."""
        return self.conv.compute_output_shape(_padded_shape(input_shape, self._padding))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._arguments}


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SeparableConvNorm(keras.layers.Layer):
    """Depthwise k x k, then pointwise 1x1, each with batch normalisation and ReLU: [B, h, w, C] -> [B, h, w, filters].

    Source: DeepLab2 `model/layers/convolutions.py`; ReLU between the two, unlike plain Xception modules.
    """

    def __init__(self, filters: int, kernel_size: int, epsilon: float = 1e-3, momentum: float = 0.99, **kwargs):
        super().__init__(**kwargs)
        self._arguments: dict[str, Any] = {
            "filters": filters,
            "kernel_size": kernel_size,
            "epsilon": epsilon,
            "momentum": momentum,
        }
        shared = {"epsilon": epsilon, "momentum": momentum, "dtype": self.dtype_policy}
        self.depthwise = DepthwiseConvNorm(kernel_size, name="depthwise", **shared)
        self.pointwise = ConvNorm(filters, 1, name="pointwise", **shared)

    def build(self, input_shape):
        """Creates the weights of both convolutions."""
        self.depthwise.build(input_shape)
        self.pointwise.build(input_shape)

    def call(self, x, training=None):
        """The separable convolution of `x`."""
        return self.pointwise(self.depthwise(x, training=training), training=training)

    def compute_output_shape(self, input_shape):
        """Shape of the result; height and width may be unknown."""
        return self.pointwise.compute_output_shape(input_shape)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._arguments}


def _explicit_padding(kernel_size: int, stride: int) -> int:
    """Cells to pad on each side before a strided convolution; 0 leaves the padding to "same"."""
    return (kernel_size - 1) // 2 if stride > 1 else 0


def _pad(x, padding: int):
    return ops.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0))) if padding else x


def _padded_shape(shape, padding: int):
    batch, height, width, channels = shape
    return (batch, height and height + 2 * padding, width and width + 2 * padding, channels)
