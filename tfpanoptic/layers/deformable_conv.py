"""A convolution that learns where to read."""

from __future__ import annotations

import keras

from tfpanoptic.ops.deformable_conv import deformable_conv_of_maps


@keras.saving.register_keras_serializable(package="tfpanoptic")
class DeformableConv(keras.layers.Layer):
    """Deformable convolution with bias, and activation: [B, h, w, C] -> [B, h, w, filters].

    A plain convolution with the same taps, `offset`, says where each tap is read; it begins with zeros, as a plain
    convolution. Offsets are float32 under any policy.

    Args:
        filters: output channels.
        kernel_size: side of the kernel, odd.
        dilation: distance of the taps.
        activation: a Keras activation's name, or None.

    Source: Dai et al. 2017, section 2.1; UPSNet `operators/modules/deform_conv.py`. That the offsets' convolution is
    dilated as well is an own choice.
    """

    def __init__(self, filters: int, kernel_size: int = 3, dilation: int = 1, activation: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.dilation = filters, kernel_size, dilation
        self.offset = keras.layers.Conv2D(
            2 * kernel_size**2,
            kernel_size,
            padding="same",
            dilation_rate=dilation,
            kernel_initializer="zeros",
            dtype="float32",
            name="offset",
        )
        self._activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Creates the weights of the offsets, the kernel and the bias."""
        # Padding comes before the convolution, which may be larger than the map alone.
        self.offset.build((None, None, None, input_shape[-1]))
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer="he_normal", name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x):
        """The activated, deformable convolution of `x`."""
        return self.of_maps([x])[0]

    def of_maps(self, maps: list) -> list:
        """The same of several maps at once, for less than one after the other."""
        offsets = [self.offset(x) for x in maps]
        results = deformable_conv_of_maps(maps, offsets, self.kernel, self.dilation)
        return [self._activation(x + self.bias) for x in results]
