"""Wide-ResNet-41 and SWideRNet of DeepLab2: five stages of wide residual blocks.

Stages 1 to 4 have two 3x3 convolutions a block, stage 5 a bottleneck. Stages stride in their first block, dilation
stands in place of strides beyond the output stride, and there is no max-pooling. Wide-ResNet-41 is SWideRNet with all
multipliers 1.

Source: Chen et al. 2020 (Naive-Student; Wide-ResNet-41) and Chen et al. 2020 (Scaling Wide Residual Networks), in the
form of DeepLab2 `model/encoder/axial_resnet.py`, `model/layers/{axial_block_groups,axial_blocks}.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from tfpanoptic.backbones.backbone import Backbone, NoWeights
from tfpanoptic.backbones.residual import residual_sum
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm

STEM_CHANNELS = 64


class Stage(NamedTuple):
    """A stage of the network that does not dilate.

    Attributes:
        channels: of the output, at full width.
        blocks: how many, before the layer multiplier.
        stride: of the first block.
        grid: stride of the output, in pixels of the image.
    """

    channels: int
    blocks: int
    stride: int
    grid: int


# Stage 1 belongs to the stem: its width follows the stem's multiplier, its depth none.
STAGES = {
    1: Stage(128, 3, 1, 2),
    2: Stage(256, 3, 2, 4),
    3: Stage(512, 6, 2, 8),
    4: Stage(1024, 3, 2, 16),
    5: Stage(2048, 3, 2, 32),
}
BOTTLENECK_STAGE = 5


class WideResNetConfig(StrictConfig):
    """A Wide-ResNet and what may be changed about it.

    Attributes:
        output_stride: of `res5`; stages that may not stride any more dilate instead.
        stem_width_multiplier: of the stem and of stage 1; the first of SWideRNet's three numbers.
        width_multiplier: of stages 2 to 5; the second.
        layer_multiplier: of the blocks of stages 2 to 5, rounded down; the third.
        squeeze_excite: whether every block weighs its channels before the sum.
        switchable_stride: stages whose grid, without dilation, has at least this stride have switchable atrous
            convolutions; null has none. 32 is the last stage alone, as in SWideRNet-SAC.
        weights: null; there are none of ImageNet.
    """

    name: Literal["wide_resnet41", "swidernet"]
    output_stride: Literal[8, 16, 32] = 32
    stem_width_multiplier: float = Field(1.0, gt=0)
    width_multiplier: float = Field(1.0, gt=0)
    layer_multiplier: float = Field(1.0, gt=0)
    squeeze_excite: bool = False
    switchable_stride: Literal[4, 8, 16, 32] | None = None
    weights: NoWeights = None


def strides(config: WideResNetConfig) -> dict[str, int]:
    """Stride of stages 1 to 5."""
    return {f"res{number}": min(stage.grid, config.output_stride) for number, stage in STAGES.items()}


def build(image, config: WideResNetConfig, norm: Norm) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3], after their ReLU.

    At full width they have 128, 256, 512, 1024 and 2048 channels.
    """
    from tfpanoptic.layers.conv import ConvNorm

    stem = max(1, round(STEM_CHANNELS * config.stem_width_multiplier))
    x = ConvNorm(stem, 3, stride=2, norm=norm, name="stem")(image)
    endpoints = {}
    for number, stage in STAGES.items():
        multiplier = config.stem_width_multiplier if number == 1 else config.width_multiplier
        width = max(1, round(stage.channels // 4 * multiplier))
        blocks = stage.blocks if number == 1 else max(1, int(stage.blocks * config.layer_multiplier))
        stride = stage.stride if stage.grid <= config.output_stride else 1
        # The first convolution of a stage still has the dilation of the stage before.
        before = max(1, stage.grid // stage.stride // config.output_stride)
        dilation = max(1, stage.grid // config.output_stride)
        switchable = config.switchable_stride is not None and stage.grid >= config.switchable_stride
        block = _bottleneck if number == BOTTLENECK_STAGE else _basic
        for index in range(1, blocks + 1):
            name, first = f"stage{number}_block{index}", index == 1
            rates = (before if first else dilation, dilation)
            y = block(x, width, stride if first else 1, rates, name, norm, switchable)
            if config.squeeze_excite:
                y = _squeeze_excite(y, name)
            x = residual_sum(y, x, stride if first else 1, name, norm)
        endpoints[f"res{number}"] = x
    return endpoints


WIDE_RESNET = Backbone(WideResNetConfig, build, strides)


def _basic(x, width: int, stride: int, dilations: tuple[int, int], name: str, norm: Norm, switchable: bool):
    """Two 3x3 convolutions to four times the width, each with its dilation."""
    conv, wide = _convolution(switchable), 4 * width
    y = conv(wide, 3, stride, dilation=dilations[0], norm=norm, name=f"{name}_conv1")(x)
    # Not `conv2`, which is activated.
    end = {"activation": None, "gamma_initializer": "zeros", "norm": norm}
    return conv(wide, 3, dilation=dilations[1], name=f"{name}_conv2_linear", **end)(y)


def _bottleneck(x, width: int, stride: int, dilations: tuple[int, int], name: str, norm: Norm, switchable: bool):
    """1x1, 3x3 to twice the width, with the first dilation, and 1x1 to four times the width."""
    from tfpanoptic.layers.conv import ConvNorm

    y = ConvNorm(width, 1, norm=norm, name=f"{name}_conv1")(x)
    conv = _convolution(switchable)
    y = conv(2 * width, 3, stride, dilation=dilations[0], norm=norm, name=f"{name}_conv2")(y)
    end = ConvNorm(4 * width, 1, activation=None, norm=norm, gamma_initializer="zeros", name=f"{name}_conv3")
    return end(y)


def _convolution(switchable: bool):
    """The class of the 3x3 convolutions."""
    from tfpanoptic.layers.conv import ConvNorm
    from tfpanoptic.layers.switchable_atrous_conv import SwitchableConvNorm

    return SwitchableConvNorm if switchable else ConvNorm


def _squeeze_excite(y, name: str):
    from tfpanoptic.layers.squeeze_excite import EffectiveSqueezeExcite

    return EffectiveSqueezeExcite(name=f"{name}_squeeze_excite")(y)
