"""Inverted bottlenecks, the blocks of MobileNetV2 and V3: expand, convolve each channel by itself, project.

Source: Sandler et al. 2018, section 3.3; DeepLab2 `model/layers/blocks.py` (how strides become dilations).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfpanoptic.backbones.dilated import dilated

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    from tfpanoptic.layers.norm import Norm

# Width of the squeeze, as a share of the expanded width. Source: Howard et al. 2019, section 5.3.
SQUEEZE_RATIO = 0.25


class Block(NamedTuple):
    """One inverted bottleneck; `expansion` is relative to the input's channels."""

    kernel_size: int
    stride: int
    channels: int
    activation: str
    squeeze_excite: bool
    expansion: float
    endpoint: str | None = None


class BlockOutput(NamedTuple):
    """What a block may give to a decoder.

    Attributes:
        projected: its output, not activated.
        expanded: of its depthwise convolution, activated, before squeeze-and-excitation.
    """

    projected: Any
    expanded: Any


def inverted_bottlenecks(
    x,
    blocks: Sequence[Block],
    output_stride: int,
    norm: Norm,
    padding: str = "symmetric",
    gate: str = "sigmoid",
) -> tuple[Any, dict[str, BlockOutput]]:
    """The chain of `blocks` after `x`, a map of stride 2; layers are named `block1_...` on.

    From the output stride on a block does not stride; the blocks after it dilate instead.

    Args:
        padding: of convolutions that stride; see `layers.conv.ConvNorm`.
        gate: of squeeze-and-excitation; see `layers.squeeze_excite.SqueezeExcite`.

    Returns:
        The last block's output, and the outputs of the blocks that have an endpoint, by its name.
    """
    endpoints = {}
    grids = dilated((block.stride for block in blocks), output_stride)
    for number, (block, (stride, dilation)) in enumerate(zip(blocks, grids, strict=True), start=1):
        output = _inverted_bottleneck(x, block, stride, dilation, f"block{number}", norm, padding, gate)
        x = output.projected
        if block.endpoint:
            endpoints[block.endpoint] = output
    return x, endpoints


def _inverted_bottleneck(
    x, block: Block, stride: int, dilation: int, name: str, norm: Norm, padding: str, gate: str
) -> BlockOutput:
    import keras

    from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm
    from tfpanoptic.layers.squeeze_excite import SqueezeExcite

    kernel_size, activation = block.kernel_size, block.activation
    y = x
    if block.expansion > 1:
        width = make_divisible(x.shape[-1] * block.expansion)
        y = ConvNorm(width, 1, activation=activation, norm=norm, name=f"{name}_expand")(y)
    depthwise = DepthwiseConvNorm(
        kernel_size, stride, dilation, activation, norm, padding=padding, name=f"{name}_depthwise"
    )
    y = expanded = depthwise(y)
    if block.squeeze_excite:
        squeezed = make_divisible(max(1, int(y.shape[-1] * SQUEEZE_RATIO)))
        y = SqueezeExcite(squeezed, gate, name=f"{name}_squeeze_excite")(y)
    y = ConvNorm(block.channels, 1, activation=None, norm=norm, name=f"{name}_project")(y)
    # A block whose stride became dilation stays without the sum, as it was trained.
    if block.stride == 1 and x.shape[-1] == block.channels:
        y = keras.layers.Add(name=f"{name}_add")([y, x])
    return BlockOutput(y, expanded)


def make_divisible(value: float, divisor: int = 8) -> int:
    """`value` rounded to a multiple of `divisor`, never by more than 10 % down. Source: MobileNet's authors' code."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
