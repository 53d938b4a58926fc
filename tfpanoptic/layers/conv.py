"""Convolution, normalisation and activation as one layer: plain, depthwise and separable.

Strided convolutions pad by (k_eff - 1) / 2 on all sides, as DeepLab2 and the PyTorch projects do; TensorFlow's "same",
which weights of `keras.applications` need, pads even sizes at the bottom and right only and shifts the grid by half a
pixel. Odd sizes, such as a multiple of the stride plus one, are padded alike by both.
"""

from __future__ import annotations

import math

import keras
from keras import ops

from tfpanoptic.layers.norm import FrozenBatchNorm, Norm, normalization

# TensorFlow 2.21 on x86 CPUs writes past a buffer in the gradient of a strided 1x1 convolution of fewer input
# channels (oneDNN, https://github.com/uxlfoundation/oneDNN/issues/6035): wrong kernels, later a crash.
_FEWEST_CHANNELS_OF_STRIDED_1X1 = 16


@keras.saving.register_keras_serializable(package="tfpanoptic")
class ConvNorm(keras.layers.Layer):
    """Convolution, normalisation, activation: [B, h, w, C] -> [B, ceil(h/s), ceil(w/s), filters].

    Args:
        filters: output channels.
        kernel_size: side of the kernel, odd.
        stride: 1 or more; the grid keeps the top-left cell.
        dilation: distance of the kernel's taps; 1 where `stride` is above 1.
        activation: a Keras activation's name, or None.
        norm: the normalisation; where there is none the convolution has a bias.
        gamma_initializer: of the normalisation; "zeros" ends a residual branch.
        padding: where it strides: "symmetric", on all sides, or TensorFlow's "same".
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        activation: str | None = "relu",
        norm: Norm = Norm(),
        gamma_initializer: str = "ones",
        padding: str = "symmetric",
        **kwargs,
    ):
        super().__init__(**kwargs)
        norm = Norm(*norm)
        self.filters = filters
        self._padding = _explicit_padding(kernel_size, stride, padding)
        self._stride, self._every = stride, 1
        self.conv = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=stride,
            padding="valid" if self._padding else "same",
            dilation_rate=dilation,
            use_bias=norm.kind == "none",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = normalization(norm, gamma_initializer, self.dtype_policy)
        self._activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Creates the kernel and the normalisation's weights."""
        if self.conv.kernel_size == (1, 1) and input_shape[-1] < _FEWEST_CHANNELS_OF_STRIDED_1X1:
            # The same cells, taken first. Slower for many channels.
            self._every, self.conv.strides = self._stride, (1, 1)
        self.conv.build(_any_size(input_shape))
        self.norm.build((*input_shape[:-1], self.filters))

    def call(self, x, training=None):
        """The activated, normalised convolution of `x`."""
        if isinstance(self.norm, FrozenBatchNorm):
            return self._activation(self._normalized_by_kernel(self._prepared(x)))
        return self._activation(self.norm(self.conv(self._prepared(x)), training=training))

    def _prepared(self, x):
        """`x` as the convolution takes it: padded, or only the cells that a strided 1x1 convolution reads."""
        x = _pad(x, self._padding)
        return x[:, :: self._every, :: self._every] if self._every > 1 else x

    def _normalized_by_kernel(self, x):
        """A frozen normalisation scales and shifts: done to the kernel, it costs no pass over the map."""
        scale, shift = self.norm.scale_and_shift()
        kernel = ops.cast(ops.multiply(self.conv.kernel, scale), self.compute_dtype)
        conv = self.conv
        x = ops.conv(x, kernel, conv.strides, conv.padding, dilation_rate=conv.dilation_rate)
        return x + ops.cast(shift, self.compute_dtype)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class DepthwiseConvNorm(keras.layers.Layer):
    """Depthwise convolution, normalisation, activation: channels stay as they are.

    Args: as `ConvNorm`, without `filters` and `gamma_initializer`.
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        activation: str | None = "relu",
        norm: Norm = Norm(),
        padding: str = "symmetric",
        **kwargs,
    ):
        super().__init__(**kwargs)
        norm = Norm(*norm)
        self._padding = _explicit_padding(kernel_size, stride, padding)
        self.conv = keras.layers.DepthwiseConv2D(
            kernel_size,
            strides=stride,
            padding="valid" if self._padding else "same",
            dilation_rate=dilation,
            use_bias=norm.kind == "none",
            # He et al. 2015 with the true fan-in k * k; Keras' "he_normal" counts the channels into it.
            depthwise_initializer=keras.initializers.TruncatedNormal(stddev=math.sqrt(2.0) / kernel_size),
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = normalization(norm, dtype=self.dtype_policy)
        self._activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Creates the kernel and the normalisation's weights."""
        self.conv.build(_any_size(input_shape))
        self.norm.build(input_shape)

    def call(self, x, training=None):
        """The activated, normalised convolution of `x`."""
        return self._activation(self.norm(self.conv(_pad(x, self._padding)), training=training))


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SeparableConvNorm(keras.layers.Layer):
    """Depthwise k x k, then pointwise 1x1, each with normalisation and ReLU: [B, h, w, C] -> [B, h, w, filters].

    Args: as `ConvNorm`.

    Source: DeepLab2 `model/layers/convolutions.py`; ReLU between the two, unlike plain Xception modules.
    """

    def __init__(self, filters: int, kernel_size: int, dilation: int = 1, norm: Norm = Norm(), **kwargs):
        super().__init__(**kwargs)
        self.depthwise = DepthwiseConvNorm(
            kernel_size, dilation=dilation, norm=norm, dtype=self.dtype_policy, name="depthwise"
        )
        self.pointwise = ConvNorm(filters, 1, norm=norm, dtype=self.dtype_policy, name="pointwise")

    def build(self, input_shape):
        """Creates the weights of both convolutions."""
        self.depthwise.build(input_shape)
        self.pointwise.build(input_shape)

    def call(self, x, training=None):
        """The separable convolution of `x`."""
        return self.pointwise(self.depthwise(x, training=training), training=training)


def _any_size(shape):
    """`shape` without its size: padding comes before the convolution, which may be larger than the map alone."""
    return (None, None, None, shape[-1])


def _explicit_padding(kernel_size: int, stride: int, padding: str) -> int:
    """Cells to pad on each side before a strided convolution; 0 leaves the padding to "same"."""
    return (kernel_size - 1) // 2 if stride > 1 and padding == "symmetric" else 0


def _pad(x, padding: int):
    return ops.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0))) if padding else x
