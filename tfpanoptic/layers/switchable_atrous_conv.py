"""Switchable atrous convolution: one kernel at two dilations, mixed at every cell."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.layers.conv import ConvNorm

# The larger dilation, relative to the smaller. Source: Qiao et al. 2021, section 4.1.
FACTOR = 3
# Side of the mean that the switch reads.
WINDOW = 5


@keras.saving.register_keras_serializable(package="tfpanoptic")
class GlobalContext(keras.layers.Layer):
    """[B, h, w, C] plus a 1x1 convolution of its channels' means, which starts at 0.

    Source: Qiao et al. 2021 (DetectoRS), section 4.2.
    """

    def build(self, input_shape):
        """Creates the weights of the convolution."""
        self.conv = keras.layers.Conv2D(
            input_shape[-1], 1, kernel_initializer="zeros", dtype=self.dtype_policy, name="conv"
        )
        self.conv.build((*input_shape[:1], 1, 1, input_shape[-1]))

    def call(self, x):
        """`x` with its context."""
        return x + self.conv(ops.mean(x, axis=(1, 2), keepdims=True))


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SwitchableConvNorm(ConvNorm):
    """`ConvNorm` whose cells mix two dilations of one kernel, between two global contexts.

    With s the switch, a 1x1 convolution to one channel of the mean of 5x5 cells, without an activation, it is
    s * (kernel at three times the dilation) + (1 - s) * (kernel at the dilation). Switch and contexts start at 0, so
    that it starts as a plain convolution. One that strides has the contexts, but no switch.

    Args: as `ConvNorm`.

    Source: Qiao et al. 2021 (DetectoRS), section 4, in the form of DeepLab2 `model/layers/convolutions.py`.
    """

    def __init__(self, filters: int, kernel_size: int, stride: int = 1, **kwargs):
        super().__init__(filters, kernel_size, stride, **kwargs)
        dtype = self.dtype_policy
        self.pre_context = GlobalContext(dtype=dtype, name="pre_context")
        self.post_context = GlobalContext(dtype=dtype, name="post_context")
        self.switch = None
        if stride == 1:
            self.switch = keras.layers.Conv2D(1, 1, kernel_initializer="zeros", dtype=dtype, name="switch")

    def build(self, input_shape):
        """Creates the weights of all parts."""
        super().build(input_shape)
        self.pre_context.build(input_shape)
        self.post_context.build((*input_shape[:-1], self.filters))
        if self.switch is not None:
            self.switch.build(input_shape)

    def call(self, x, training=None):
        """The activated, normalised convolution of `x`."""
        x = self.post_context(self._mixed(self.pre_context(x)))
        return self._activation(self.norm(x, training=training))

    def _mixed(self, x):
        """The convolution, of two dilations where there is a switch."""
        if self.switch is None:
            return self.conv(self._prepared(x))
        switch = self.switch(ops.average_pool(x, WINDOW, strides=1, padding="same"))
        near = self.conv(x)
        kernel = ops.cast(self.conv.kernel, self.compute_dtype)
        dilation = tuple(FACTOR * rate for rate in self.conv.dilation_rate)
        far = ops.conv(x, kernel, 1, "same", dilation_rate=dilation)
        if self.conv.use_bias:
            far = far + ops.cast(self.conv.bias, self.compute_dtype)
        return near + switch * (far - near)
