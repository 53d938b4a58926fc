"""The end of a residual block.

Source: He et al. 2016, section 3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    from tfpanoptic.layers.norm import Norm


def residual_sum(y, x, stride: int, name: str, norm: Norm):
    """ReLU of `y` plus `x`; `x` is projected where the channels change, else only subsampled by `stride`.

    The projection's layer is `NAME_shortcut`.
    """
    import keras

    from tfpanoptic.layers.conv import ConvNorm

    if x.shape[-1] != y.shape[-1]:
        x = ConvNorm(y.shape[-1], 1, stride, activation=None, norm=norm, name=f"{name}_shortcut")(x)
    elif stride > 1:
        x = keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}_subsample")(x)
    total = keras.layers.Add(name=f"{name}_add")([y, x])
    return keras.layers.ReLU(name=f"{name}_relu")(total)
