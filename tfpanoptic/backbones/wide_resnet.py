"""Wide-ResNet-41 and SWideRNet of DeepLab2: five stages of wide residual blocks.

Stages 1 to 4 have two 3x3 convolutions a block, stage 5 a bottleneck. Stages stride in their first block, dilation
stands in place of strides beyond the output stride, and there is no max-pooling. Wide-ResNet-41 is SWideRNet with all
multipliers 1.

Source: Chen et al. 2020 (Naive-Student; Wide-ResNet-41) and Chen et al. 2020 (Scaling Wide Residual Networks), in the
form of DeepLab2 `model/encoder/axial_resnet.py`, `model/layers/{axial_block_groups,axial_blocks}.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tfpanoptic.backbones.backbone import Backbone, NoWeights
from tfpanoptic.backbones.dilated import stage_strides
from tfpanoptic.backbones.residual import DropPath, Place, stages
from tfpanoptic.backbones.resnet import BOTTLENECK_EXPANSION, conv, last_conv
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm

STEM_CHANNELS = 64
# Width of a block of each stage, a quarter of its output's, and blocks of each stage. Stage 1 belongs to the stem: its
# width follows the stem's multiplier, its depth none.
STAGE_WIDTHS = {1: 32, 2: 64, 3: 128, 4: 256, 5: 512}
BLOCKS = (3, 3, 6, 3, 3)
BOTTLENECK_STAGE = 5
# The smallest stride of a block's input with which training may leave it out.
DROPPED_FROM = 4


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
        drop_path: how often training leaves out the branch of a block whose input has stride 32, had nothing been
            dilated; linearly less per halving, and never before stride 4.
        weights: null; there are none of ImageNet.
    """

    name: Literal["wide_resnet41", "swidernet"]
    output_stride: Literal[8, 16, 32] = 32
    stem_width_multiplier: float = Field(1.0, gt=0)
    width_multiplier: float = Field(1.0, gt=0)
    layer_multiplier: float = Field(1.0, gt=0)
    squeeze_excite: bool = False
    switchable_stride: Literal[4, 8, 16, 32] | None = None
    drop_path: float = Field(0.0, ge=0, lt=1)
    weights: NoWeights = None


def build(image, config: WideResNetConfig, norm: Norm, seed=None) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3], after their ReLU.

    At full width they have 128, 256, 512, 1024 and 2048 channels.

    Raises:
        SettingError: `drop_path` without a `seed`.
    """

    def branch(x, place: Place):
        width = stage_width(place.stage, config.stem_width_multiplier, config.width_multiplier)
        switchable = config.switchable_stride is not None and 2**place.stage >= config.switchable_stride
        block = _bottleneck if place.stage == BOTTLENECK_STAGE else basic
        y = block(x, width, place, norm, switchable)
        return _squeeze_excite(y, place.name) if config.squeeze_excite else y

    x = stem(image, config.stem_width_multiplier, norm)
    drop = DropPath(config.drop_path, DROPPED_FROM, seed)
    return stages(x, blocks(config.layer_multiplier), config.output_stride, branch, norm, drop)[0]


WIDE_RESNET = Backbone(WideResNetConfig, build, stage_strides)


def stem(image, width_multiplier: float, norm: Norm):
    """A 3x3 convolution, to stride 2."""
    return conv(image, max(1, round(STEM_CHANNELS * width_multiplier)), 3, "stem", norm, stride=2)


def blocks(layer_multiplier: float) -> tuple[int, ...]:
    """Blocks of each stage."""
    return BLOCKS[:1] + tuple(max(1, int(count * layer_multiplier)) for count in BLOCKS[1:])


def stage_width(stage: int, stem_multiplier: float, width_multiplier: float) -> int:
    """Width of the blocks of a stage."""
    return max(1, round(STAGE_WIDTHS[stage] * (stem_multiplier if stage == 1 else width_multiplier)))


def basic(x, width: int, place: Place, norm: Norm, switchable: bool = False):
    """Two 3x3 convolutions to four times the width, each with its dilation."""
    convolution, channels = _convolution(switchable), BOTTLENECK_EXPANSION * width
    y = convolution(channels, 3, place.stride, dilation=place.dilation, norm=norm, name=f"{place.name}_conv1")(x)
    # Not `conv2`, which is activated.
    end = {"activation": None, "gamma_initializer": "zeros", "norm": norm, "name": f"{place.name}_conv2_linear"}
    return convolution(channels, 3, dilation=place.next_dilation, **end)(y)


def _bottleneck(x, width: int, place: Place, norm: Norm, switchable: bool):
    """1x1, 3x3 to twice the width, and 1x1 to four times the width."""
    y = conv(x, width, 1, f"{place.name}_conv1", norm)
    convolution = _convolution(switchable)
    y = convolution(2 * width, 3, place.stride, dilation=place.dilation, norm=norm, name=f"{place.name}_conv2")(y)
    return last_conv(y, BOTTLENECK_EXPANSION * width, 1, f"{place.name}_conv3", norm)


def _convolution(switchable: bool):
    """The class of the 3x3 convolutions."""
    from tfpanoptic.layers.conv import ConvNorm
    from tfpanoptic.layers.switchable_atrous_conv import SwitchableConvNorm

    return SwitchableConvNorm if switchable else ConvNorm


def _squeeze_excite(y, name: str):
    from tfpanoptic.layers.squeeze_excite import EffectiveSqueezeExcite

    return EffectiveSqueezeExcite(name=f"{name}_squeeze_excite")(y)
