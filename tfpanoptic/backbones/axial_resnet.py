"""Axial-ResNets and the backbone of MaX-DeepLab-S: ResNets whose blocks attend along rows and columns.

In place of a bottleneck's 3x3 convolution stands attention along the height, then the width. A block attends where the
stride of its input is that of the table below or more; blocks before are plain bottlenecks. As all DeepLab2 networks
they have no max-pooling, so that `stage2_block1` of a network that attends everywhere attends at stride 2.

Source: Wang et al. 2020 (Axial-DeepLab), section 3.3; Wang et al. 2021 (MaX-DeepLab); DeepLab2
`model/encoder/axial_resnet_instances.py`, `model/layers/axial_blocks.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from tfpanoptic.backbones.backbone import Backbone, NoWeights
from tfpanoptic.backbones.dilated import stage_strides
from tfpanoptic.backbones.residual import DropPath, Place, stages
from tfpanoptic.backbones.resnet import (
    BOTTLENECK,
    BOTTLENECK_EXPANSION,
    STAGE_WIDTHS,
    bottleneck,
    conv,
    last_conv,
    stem,
)
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm

HEADS = 8
# The smallest stride of a block's input with which training may leave it out.
DROPPED_FROM = 16


class Expansion(NamedTuple):
    """Widths around attention, relative to the stage's: of its input, of queries and keys, and of values."""

    input: int
    key: int
    value: int


class Kind(NamedTuple):
    """One published network: its stem, its width, and the stride from which its blocks attend."""

    stem: str
    width_multiplier: float
    axial_from: int


# "beta" is the stem of three 3x3 convolutions. DeepLab2 lists neither M nor XL; their widths are the paper's.
KINDS = {
    "axial_resnet_s": Kind("plain", 0.5, 2),
    "axial_resnet_m": Kind("plain", 0.75, 2),
    "axial_resnet_l": Kind("plain", 1.0, 2),
    "axial_resnet_xl": Kind("plain", 2.0, 2),
    "axial_deeplab_s": Kind("beta", 0.5, 2),
    "axial_deeplab_m": Kind("beta", 0.75, 2),
    "axial_deeplab_l": Kind("beta", 1.0, 2),
    "axial_deeplab_xl": Kind("beta", 2.0, 2),
    "max_deeplab_s_backbone": Kind("beta", 1.0, 16),
}


def _odd(span: int) -> int:
    if span % 2 == 0:
        raise ValueError("expected an odd number of cells, the query in the middle")
    return span


# Cells that a query sees along an axis; null for all.
Span = Annotated[int, Field(ge=1), AfterValidator(_odd)] | None


# Axial-DeepLab's.
EXPANSION = Expansion(input=2, key=1, value=2)


class AxialResNetConfig(StrictConfig):
    """An Axial-ResNet and what may be changed about it.

    Attributes:
        output_stride: of `res5`; stages that may not stride any more keep the grid, and dilate if they convolve.
        width_multiplier: of the stages, beside the network's own; widths are multiples of the 8 heads.
        stem_multiplier: of the stem's width.
        layer_multiplier: of the number of blocks of each stage, 3, 4, 6 and 3, rounded down.
        spans: cells that a query of stages 2 to 5 sees along an axis, odd numbers; null for all. The paper's is 65
            where memory is short.
        drop_path: how often training leaves out the branch of a block whose input has stride 32, had nothing been
            dilated; linearly less per halving, and never before stride 16.
        weights: null; there are none of ImageNet.
    """

    name: Literal[
        "axial_resnet_s",
        "axial_resnet_m",
        "axial_resnet_l",
        "axial_resnet_xl",
        "axial_deeplab_s",
        "axial_deeplab_m",
        "axial_deeplab_l",
        "axial_deeplab_xl",
        "max_deeplab_s_backbone",
    ]
    output_stride: Literal[8, 16, 32] = 32
    width_multiplier: float = Field(1.0, gt=0)
    stem_multiplier: float = Field(1.0, gt=0)
    layer_multiplier: float = Field(1.0, gt=0)
    spans: tuple[Span, Span, Span, Span] = (None, None, None, None)
    drop_path: float = Field(0.0, ge=0, lt=1)
    weights: NoWeights = None


def build(image, config: AxialResNetConfig, norm: Norm, seed=None) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3], after their ReLU.

    Raises:
        SettingError: a normalisation other than batch normalisation, frozen or not, or `drop_path` without a `seed`.
    """
    kind = KINDS[config.name]
    counts = tuple(max(1, int(count * config.layer_multiplier)) for count in BOTTLENECK["resnet50"])
    spans = dict(zip(STAGE_WIDTHS, config.spans, strict=True))

    def branch(x, place: Place):
        width = of_heads(STAGE_WIDTHS[place.stage] * kind.width_multiplier * config.width_multiplier)
        if place.input_stride < kind.axial_from:
            return bottleneck(x, width, place, norm)
        return axial_bottleneck(x, width, EXPANSION, place, spans[place.stage], norm)

    x = stem(image, kind.stem, config.stem_multiplier, norm)
    drop = DropPath(config.drop_path, DROPPED_FROM, seed)
    return {"res1": x, **stages(x, counts, config.output_stride, branch, norm, drop)[0]}


AXIAL_RESNET = Backbone(AxialResNetConfig, build, stage_strides)


def of_heads(width: float) -> int:
    """The multiple of the heads that is nearest to a width."""
    return HEADS * max(1, round(width / HEADS))


def axial_bottleneck(x, width: int, expansion: Expansion, place: Place, span: int | None, norm: Norm):
    """1x1, attention along both axes, 1x1 to four times the width."""
    import keras

    from tfpanoptic.layers.axial_attention import AxialAttention

    keys, values = expansion.key * width, expansion.value * width
    y = conv(x, expansion.input * width, 1, f"{place.name}_conv1", norm)
    y = AxialAttention(keys, values, HEADS, place.stride, span, norm, name=f"{place.name}_attention")(y)
    y = keras.layers.ReLU(name=f"{place.name}_attention_relu")(y)
    return last_conv(y, BOTTLENECK_EXPANSION * width, 1, f"{place.name}_conv3", norm)
