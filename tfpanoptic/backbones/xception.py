"""Xception of DeepLab: the aligned form with 41, 65 or 71 layers, whose strides are separable convolutions.

A module is three separable convolutions, of which the last one strides, and a shortcut. Strides beyond the output
stride become dilations.

Source: Chollet 2017; Chen et al. 2018 (DeepLabv3+), figure 4; DeeperLab, Yang et al. 2019 (Xception-71); TensorFlow's
`research/deeplab/core/xception.py`. Initial values are those of all our convolutions; theirs have a deviation of 0.09.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from tfpanoptic.backbones.backbone import Backbone, NoWeights
from tfpanoptic.backbones.dilated import dilated, stage_strides
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm


class Module(NamedTuple):
    """Three separable convolutions.

    Attributes:
        name: start of its layers' names.
        channels: of each convolution.
        stride: of the last one.
        shortcut: "conv" (1x1, with the stride), "sum" or None.
        activated: whether ReLU follows each half of a convolution; otherwise it stands before each convolution.
        inner, endpoint: names under which decoders may take the second convolution's map and the module's.
    """

    name: str
    channels: tuple[int, int, int]
    stride: int = 1
    shortcut: str | None = "conv"
    activated: bool = False
    inner: str | None = None
    endpoint: str | None = None


def _entry(number: int, channels: int, stride: int, inner: str | None = None) -> Module:
    return Module(f"entry{number}", (channels,) * 3, stride, inner=inner)


ENTRY = (_entry(1, 128, 2), _entry(2, 256, 2, "res2"), _entry(3, 728, 2, "res3"))
DEEP_ENTRY = (
    _entry(1, 128, 2),
    _entry(2, 256, 1),
    _entry(3, 256, 2, "res2"),
    _entry(4, 728, 1),
    _entry(5, 728, 2, "res3"),
)
EXIT = (
    Module("exit1", (728, 1024, 1024), 2),
    Module("exit2", (1536, 1536, 2048), shortcut=None, activated=True, endpoint="res5"),
)
# Modules before the middle, and how many there are in it.
FLOWS = {"xception_41": (ENTRY, 8), "xception_65": (ENTRY, 16), "xception_71": (DEEP_ENTRY, 16)}
MIDDLE_CHANNELS = 728


class XceptionConfig(StrictConfig):
    """An Xception and what may be changed about it.

    Attributes:
        output_stride: of `res5`; modules that may not stride any more dilate instead.
        weights: null; there are none of ImageNet.
    """

    name: Literal["xception_41", "xception_65", "xception_71"]
    output_stride: Literal[8, 16, 32] = 32
    weights: NoWeights = None


def build(image, config: XceptionConfig, norm: Norm, seed=None) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3]: 64, 256, 728, 728 and 2048 channels.

    `res1` is the stem's output. `res2` and `res3` are what the second convolution of a module gives whose third one
    strides; they and `res4`, the middle's output, are not activated.
    """
    from tfpanoptic.layers.conv import ConvNorm

    x = ConvNorm(32, 3, stride=2, norm=norm, name="stem_conv1")(image)
    x = ConvNorm(64, 3, norm=norm, name="stem_conv2")(x)
    endpoints = {"res1": x}
    modules = _modules(config)
    grids = dilated((module.stride for module in modules), config.output_stride)
    for module, (stride, dilation) in zip(modules, grids, strict=True):
        x, inner = _separable_module(x, module, stride, dilation, norm)
        if module.inner:
            endpoints[module.inner] = inner
        if module.endpoint:
            endpoints[module.endpoint] = x
    return endpoints


XCEPTION = Backbone(XceptionConfig, build, stage_strides)


def _modules(config: XceptionConfig) -> tuple[Module, ...]:
    entry, count = FLOWS[config.name]
    middle = [Module(f"middle{n}", (MIDDLE_CHANNELS,) * 3, shortcut="sum") for n in range(1, count + 1)]
    middle[-1] = middle[-1]._replace(endpoint="res4")
    return (*entry, *middle, *EXIT)


def _separable_module(x, module: Module, stride: int, dilation: int, norm: Norm):
    """The module's output, and that of its second convolution."""
    import keras

    from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm

    y, inner = x, None
    activation = "relu" if module.activated else None
    for number, channels in enumerate(module.channels, start=1):
        name = f"{module.name}_conv{number}"
        last = number == len(module.channels)
        if not module.activated:
            y = keras.layers.ReLU(name=f"{name}_relu")(y)
        # A convolution that strides has taps side by side: it strides before there is any dilation.
        depthwise = DepthwiseConvNorm(3, stride if last else 1, dilation, activation, norm, name=f"{name}_depthwise")
        y = ConvNorm(channels, 1, activation=activation, norm=norm, name=f"{name}_pointwise")(depthwise(y))
        inner = y if number == 2 else inner
    if module.shortcut == "conv":
        x = ConvNorm(module.channels[-1], 1, stride, activation=None, norm=norm, name=f"{module.name}_shortcut")(x)
    if module.shortcut:
        y = keras.layers.Add(name=f"{module.name}_add")([y, x])
    return y, inner
