"""Axial-SWideRNet and the backbone of MaX-DeepLab-L: wide residual blocks that attend from stride 16 on.

Blocks whose input has stride 16 or more are axial bottlenecks, those before are the basic blocks of SWideRNet. The
backbone of MaX-DeepLab-L is the same network with a stacked decoder after it: up to stride 4 and down again, one block
a stride, each fed by all maps of its stride so far.

Source: Chen et al. 2020 (Scaling Wide Residual Networks); Wang et al. 2021 (MaX-DeepLab), section 3.2; DeepLab2
`model/encoder/{axial_resnet,axial_resnet_instances}.py`, `model/layers/resized_fuse.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tfpanoptic.backbones.axial_resnet import Expansion, Span, axial_bottleneck, of_heads
from tfpanoptic.backbones.backbone import Backbone, NoWeights
from tfpanoptic.backbones.dilated import stage_strides
from tfpanoptic.backbones.residual import LAST_STAGE, DropPath, Place, residual_sum, stages
from tfpanoptic.backbones.resnet import BOTTLENECK_EXPANSION
from tfpanoptic.backbones.wide_resnet import DROPPED_FROM, basic, blocks, stage_width, stem
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm

WITH_DECODER = "max_deeplab_l_backbone"
# Stride of a block's input from which blocks attend.
AXIAL_FROM = 16
EXPANSION = Expansion(input=4, key=2, value=4)
# How many earlier maps of its stride a block of the stacked decoder takes.
EARLIER = 2


class AxialSWideRNetConfig(StrictConfig):
    """An Axial-SWideRNet and what may be changed about it.

    Attributes:
        output_stride: of `res5`; stages that may not stride any more keep the grid.
        stem_width_multiplier: of the stem and of stage 1.
        width_multiplier: of stages 2 to 5; widths of blocks that attend are multiples of the 8 heads.
        layer_multiplier: of the blocks of stages 2 to 5, rounded down.
        span: cells that a query sees along an axis, an odd number; null for all.
        drop_path: how often training leaves out the branch of a block whose input has stride 32, had nothing been
            dilated; linearly less per halving, and never before stride 4.
        weights: null; there are none of ImageNet.
    """

    name: Literal["axial_swidernet", "max_deeplab_l_backbone"]
    output_stride: Literal[8, 16, 32] = 32
    stem_width_multiplier: float = Field(1.0, gt=0)
    width_multiplier: float = Field(1.0, gt=0)
    layer_multiplier: float = Field(1.0, gt=0)
    span: Span = None
    drop_path: float = Field(0.0, ge=0, lt=1)
    weights: NoWeights = None


def strides(config: AxialSWideRNetConfig) -> dict[str, int]:
    """Stride of stages 1 to 5, and of the decoder's last map where there is one."""
    decoded = {"res5_decoded": config.output_stride} if config.name == WITH_DECODER else {}
    return stage_strides(config) | decoded


def build(image, config: AxialSWideRNetConfig, norm: Norm, seed=None) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3], after their ReLU.

    At full width they have 128, 256, 512, 1024 and 2048 channels. The decoder of MaX-DeepLab-L's backbone ends in
    `res5_decoded`, as `res5`; DeepLab2's Axial-DeepLab does not read it, and a model that does not either has no
    weights of it.

    Raises:
        SettingError: a normalisation other than batch normalisation, frozen or not, or `drop_path` without a `seed`.
    """

    def branch_of_width(x, width: int, place: Place):
        if place.input_stride < AXIAL_FROM:
            return basic(x, width, place, norm)
        return axial_bottleneck(x, of_heads(width), EXPANSION, place, config.span, norm)

    def branch(x, place: Place):
        width = stage_width(place.stage, config.stem_width_multiplier, config.width_multiplier)
        return branch_of_width(x, width, place)

    drop = DropPath(config.drop_path, DROPPED_FROM, seed)
    x = stem(image, config.stem_width_multiplier, norm)
    endpoints, sums = stages(x, blocks(config.layer_multiplier), config.output_stride, branch, norm, drop)
    if config.name == WITH_DECODER:
        endpoints["res5_decoded"] = _stacked_decoder(sums, config.output_stride, branch_of_width, norm, drop)
    return endpoints


AXIAL_SWIDERNET = Backbone(AxialSWideRNetConfig, build, strides)


def _stacked_decoder(sums: dict[str, Any], output_stride: int, branch: Callable, norm: Norm, drop: DropPath):
    """From the last stage up to stride 4 and down again: the activated map at the output stride."""
    import keras

    current = sums["sum5"]
    # Of the stages at one stride only the last.
    maps = {min(2**stage, output_stride): [sums[f"sum{stage}"]] for stage in range(2, LAST_STAGE + 1)}
    finer = [stride for stride in sorted(maps) if stride < output_stride]
    for number, stride in enumerate([*reversed(finer), *finer[1:], output_stride], start=1):
        earlier = maps[stride][-EARLIER:]
        fused = _fuse(current, earlier, norm, f"decoder_stage{number}_resized_fuse")
        # The block at the output stride is one of the last stage.
        input_stride = 2**LAST_STAGE if stride == output_stride else stride
        place = Place(number, 1, input_stride, group="decoder_stage")
        current = residual_sum(branch(fused, fused.shape[-1] // BOTTLENECK_EXPANSION, place), fused, place, norm, drop)
        maps[stride].append(current)
    return keras.layers.ReLU(name="decoder_relu")(current)


def _fuse(current, earlier: list, norm: Norm, name: str):
    """ReLU of the sum of earlier maps of one stride and of the map of the stride before, brought to their grid."""
    import keras

    from tfpanoptic.layers.conv import ConvNorm
    from tfpanoptic.layers.resize_like import ResizeLike

    channels = earlier[-1].shape[-1]
    x = keras.layers.ReLU(name=f"{name}_relu")(current)
    if channels > current.shape[-1]:
        x = ConvNorm(channels, 1, 2, activation=None, norm=norm, name=f"{name}_strided_conv1")(x)
    else:
        x = ConvNorm(channels, 1, activation=None, norm=norm, name=f"{name}_resized_conv1")(x)
        x = ResizeLike(align_corners=True, name=f"{name}_resize")(x, earlier[-1])
    total = keras.layers.Add(name=f"{name}_add")([x, *earlier])
    return keras.layers.ReLU(name=f"{name}_fused_relu")(total)
