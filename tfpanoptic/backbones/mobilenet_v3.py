"""MobileNetV3 of DeepLab2.

Differences from `keras.applications`: strided convolutions pad symmetrically, the gate of squeeze-and-excitation is a
plain sigmoid, and endpoints are the outputs of the depthwise convolutions, so they have the expanded width.

Source: Howard et al. 2019, tables 1 and 2; DeepLab2 `model/encoder/mobilenet.py`, `model/layers/blocks.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import keras

from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.squeeze_excite import SqueezeExcite


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


def mobilenet_v3_large(image, output_stride: int, norm: Norm):
    """MobileNetV3-Large endpoints of 16, 72, 120, 672 and 960 channels; see `mobilenet_v3`."""
    return mobilenet_v3(image, LARGE, 960, output_stride, norm)


def mobilenet_v3_small(image, output_stride: int, norm: Norm):
    """MobileNetV3-Small endpoints of 16, 16, 88, 144 and 576 channels; see `mobilenet_v3`."""
    return mobilenet_v3(image, SMALL, 576, output_stride, norm)


def mobilenet_v3(
    image, blocks: tuple[Block, ...], top_channels: int, output_stride: int, norm: Norm
) -> dict[str, keras.KerasTensor]:
    """Endpoints of a chain of inverted bottlenecks.

    Args:
        image: float32 [B, H, W, 3], normalised.
        blocks: the chain after the first convolution.
        top_channels: width of the last 1x1 convolution.
        output_stride: 8, 16 or 32; stride of `res5`.
        norm: the normalisation of all convolutions.

    Returns:
        `res1` to `res5`, activated, at strides 2, 4, 8, 16, 32 or at most the output stride.
    """
    x = ConvNorm(16, 3, stride=2, activation=_H, name="block0_conv", norm=norm)(image)
    endpoints = {"res1": x}
    stride, dilation = 2, 1
    for number, block in enumerate(blocks, start=1):
        strides = block.stride if stride < output_stride else 1
        x, expanded = _inverted_bottleneck(x, block, strides, dilation, f"block{number}", norm)
        if block.endpoint:
            endpoints[block.endpoint] = expanded
        if strides == block.stride:
            stride *= strides
        else:
            dilation *= block.stride  # from the next block on
    endpoints["res5"] = ConvNorm(top_channels, 1, activation=_H, name=f"block{len(blocks) + 1}_conv", norm=norm)(x)
    return endpoints


def _inverted_bottleneck(x, block: Block, stride: int, dilation: int, name: str, norm: Norm):
    """The block's output, and its activated depthwise output before squeeze-and-excitation."""
    y = x
    if block.expansion > 1:
        width = make_divisible(x.shape[-1] * block.expansion)
        y = ConvNorm(width, 1, activation=block.activation, name=f"{name}_expand", norm=norm)(y)
    depthwise = DepthwiseConvNorm(
        block.kernel_size, stride, dilation, activation=block.activation, name=f"{name}_depthwise", norm=norm
    )
    y = expanded = depthwise(y)
    if block.squeeze_excite:
        squeezed = make_divisible(max(1, int(y.shape[-1] * SQUEEZE_RATIO)))
        y = SqueezeExcite(squeezed, name=f"{name}_squeeze_excite")(y)
    y = ConvNorm(block.channels, 1, activation=None, name=f"{name}_project", norm=norm)(y)
    # A block whose stride became dilation stays without the sum, as it was trained.
    if block.stride == 1 and x.shape[-1] == block.channels:
        y = keras.layers.Add(name=f"{name}_add")([y, x])
    return y, expanded


def make_divisible(value: float, divisor: int = 8) -> int:
    """`value` rounded to a multiple of `divisor`, never by more than 10 % down. Source: MobileNet's authors' code."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
