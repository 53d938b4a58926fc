"""MobileNetV3 of DeepLab2.

Differences from `keras.applications`: strided convolutions pad symmetrically, the gate of squeeze-and-excitation is a
plain sigmoid, and endpoints are the outputs of the depthwise convolutions, so they have the expanded width.

Source: Howard et al. 2019, tables 1 and 2; DeepLab2 `model/encoder/mobilenet.py`, `model/layers/blocks.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from tfpanoptic.backbones.backbone import Backbone
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm


class Block(NamedTuple):
    """One inverted bottleneck; `expansion` is relative to the input's channels."""

    kernel_size: int
    stride: int
    channels: int
    activation: str
    squeeze_excite: bool
    expansion: float
    endpoint: str | None = None


_R, _H = "relu", "hard_swish"

LARGE = (
    Block(3, 1, 16, _R, False, 1, "res1"),
    Block(3, 2, 24, _R, False, 4),
    Block(3, 1, 24, _R, False, 3, "res2"),
    Block(5, 2, 40, _R, True, 3),
    Block(5, 1, 40, _R, True, 3),
    Block(5, 1, 40, _R, True, 3, "res3"),
    Block(3, 2, 80, _H, False, 6),
    Block(3, 1, 80, _H, False, 2.5),
    Block(3, 1, 80, _H, False, 2.3),
    Block(3, 1, 80, _H, False, 2.3),
    Block(3, 1, 112, _H, True, 6),
    Block(3, 1, 112, _H, True, 6, "res4"),
    Block(5, 2, 160, _H, True, 6),
    Block(5, 1, 160, _H, True, 6),
    Block(5, 1, 160, _H, True, 6),
)
SMALL = (
    Block(3, 2, 16, _R, True, 1, "res2"),
    Block(3, 2, 24, _R, False, 72 / 16),
    Block(3, 1, 24, _R, False, 88 / 24, "res3"),
    Block(5, 2, 40, _H, True, 4),
    Block(5, 1, 40, _H, True, 6),
    Block(5, 1, 40, _H, True, 6),
    Block(5, 1, 48, _H, True, 3),
    Block(5, 1, 48, _H, True, 3, "res4"),
    Block(5, 2, 96, _H, True, 6),
    Block(5, 1, 96, _H, True, 6),
    Block(5, 1, 96, _H, True, 6),
)
# Width of the squeeze, as a share of the expanded width.
SQUEEZE_RATIO = 0.25


# Blocks between the first and the last convolution, and the width of the last one.
CHAINS = {"mobilenet_v3_large": (LARGE, 960), "mobilenet_v3_small": (SMALL, 576)}


class MobileNetV3Config(StrictConfig):
    """A MobileNetV3 and what may be changed about it.

    Attributes:
        output_stride: of `res5`; blocks that may not stride any more dilate instead.
    """

    name: Literal["mobilenet_v3_large", "mobilenet_v3_small"]
    output_stride: Literal[8, 16, 32] = 32


def strides(config: MobileNetV3Config) -> dict[str, int]:
    """Stride of `res1` to `res5`."""
    return {f"res{number}": min(2**number, config.output_stride) for number in range(1, 6)}


def build(image, config: MobileNetV3Config, norm: Norm) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3], activated.

    They have 16, 72, 120, 672 and 960 channels in the large network, 16, 16, 88, 144 and 576 in the small one.
    """
    from tfpanoptic.layers.conv import ConvNorm

    blocks, top_channels = CHAINS[config.name]
    x = ConvNorm(16, 3, stride=2, activation=_H, norm=norm, name="block0_conv")(image)
    endpoints = {"res1": x}
    stride, dilation = 2, 1
    for number, block in enumerate(blocks, start=1):
        block_stride = block.stride if stride < config.output_stride else 1
        x, expanded = _inverted_bottleneck(x, block, block_stride, dilation, f"block{number}", norm)
        if block.endpoint:
            endpoints[block.endpoint] = expanded
        if block_stride == block.stride:
            stride *= block_stride
        else:
            dilation *= block.stride  # from the next block on
    top = ConvNorm(top_channels, 1, activation=_H, norm=norm, name=f"block{len(blocks) + 1}_conv")
    endpoints["res5"] = top(x)
    return endpoints


MOBILENET_V3 = Backbone(MobileNetV3Config, build, strides)


def _inverted_bottleneck(x, block: Block, stride: int, dilation: int, name: str, norm: Norm):
    """The block's output, and its activated depthwise output before squeeze-and-excitation."""
    import keras

    from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm
    from tfpanoptic.layers.squeeze_excite import SqueezeExcite

    y = x
    if block.expansion > 1:
        width = make_divisible(x.shape[-1] * block.expansion)
        y = ConvNorm(width, 1, activation=block.activation, norm=norm, name=f"{name}_expand")(y)
    depthwise = DepthwiseConvNorm(
        block.kernel_size, stride, dilation, activation=block.activation, norm=norm, name=f"{name}_depthwise"
    )
    y = expanded = depthwise(y)
    if block.squeeze_excite:
        squeezed = make_divisible(max(1, int(y.shape[-1] * SQUEEZE_RATIO)))
        y = SqueezeExcite(squeezed, name=f"{name}_squeeze_excite")(y)
    y = ConvNorm(block.channels, 1, activation=None, norm=norm, name=f"{name}_project")(y)
    # A block whose stride became dilation stays without the sum, as it was trained.
    if block.stride == 1 and x.shape[-1] == block.channels:
        y = keras.layers.Add(name=f"{name}_add")([y, x])
    return y, expanded


def make_divisible(value: float, divisor: int = 8) -> int:
    """`value` rounded to a multiple of `divisor`, never by more than 10 % down. Source: MobileNet's authors' code."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
