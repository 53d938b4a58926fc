"""ResNets in the forms of DeepLab2 and of Detectron2, and two small ones for small data.

DeepLab2's form is the default: no max-pooling (the first block of stage 2 strides instead), the stride of a
bottleneck on its 3x3 convolution, dilation in place of strides beyond the output stride. DeepLab2 writes a block as
ReLU, convolutions, sum; here it is convolutions, sum, ReLU, which is the same chain cut elsewhere. With `max_pool`,
`stride_on: 1x1` and a frozen normalisation it is the ResNet of Detectron2's configurations, and the trunk of
`keras.applications`' ResNet, whose convolutions have biases that the normalisation takes away again.

Source: He et al. 2016; DeepLab2 `model/encoder/axial_resnet.py`, `model/layers/{axial_blocks,stems}.py`; Detectron2
`modeling/backbone/resnet.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tfpanoptic.backbones.backbone import Backbone, ImageNet, require_for_imagenet
from tfpanoptic.backbones.dilated import stage_strides
from tfpanoptic.backbones.residual import Place, stages
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm

# Width of stages 2 to 5 between the 1x1 convolutions of a bottleneck, or of both convolutions of a basic block.
STAGE_WIDTHS = {2: 64, 3: 128, 4: 256, 5: 512}
BOTTLENECK_EXPANSION = 4
# Blocks of stages 2 to 5. Basic blocks are two 3x3 convolutions; bottlenecks are 1x1, 3x3, 1x1.
BASIC = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2)}
BOTTLENECK = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


class ResNetConfig(StrictConfig):
    """A ResNet and what may be changed about it.

    Attributes:
        output_stride: of `res5`; stages that may not stride any more dilate instead.
        stem: "plain", one 7x7 convolution to 64 channels, or "beta", three 3x3 ones to 64, 64 and 128.
        width_multiplier: of the stages; of networks of basic blocks it narrows the stem, too.
        stride_on: the convolution of a bottleneck that strides: "3x3" (DeepLab2) or the first "1x1" (Detectron2).
        max_pool: whether 3x3 max-pooling stands between the stem and stage 2, which then does not stride.
        weights: what training starts from; "imagenet" needs `stride_on: 1x1` and `max_pool: true`.
    """

    name: Literal["resnet10", "resnet18", "resnet50", "resnet101"]
    output_stride: Literal[8, 16, 32] = 32
    stem: Literal["plain", "beta"] = "plain"
    width_multiplier: float = Field(1.0, gt=0)
    stride_on: Literal["1x1", "3x3"] = "3x3"
    max_pool: bool = False
    weights: Literal["imagenet"] | None = None

    @model_validator(mode="after")
    def _only_bottlenecks_have_1x1(self) -> ResNetConfig:
        if self.stride_on == "1x1" and self.name in BASIC:
            raise ValueError(f"stride_on: expected '3x3' for {self.name}, whose blocks have no 1x1, found '1x1'")
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> ResNetConfig:
        if self.weights == "imagenet" and self.name in BASIC:
            raise ValueError(f"weights: expected null: there are no ImageNet weights for {self.name}, found 'imagenet'")
        require_for_imagenet(self, stem="plain", width_multiplier=1.0, stride_on="1x1", max_pool=True)
        return self


def build(image, config: ResNetConfig, norm: Norm, seed=None) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3], after their ReLU.

    The first block of a stage that dilates still has the dilation of the stage before.
    """
    basic = config.name in BASIC
    x = stem(image, config.stem, config.width_multiplier if basic else 1.0, norm)
    endpoints = {"res1": x}
    if config.max_pool:
        x = _max_pool(x)

    def branch(x, place: Place):
        width = max(1, round(STAGE_WIDTHS[place.stage] * config.width_multiplier))
        return _basic(x, width, place, norm) if basic else bottleneck(x, width, place, norm, config.stride_on)

    counts = BASIC[config.name] if basic else BOTTLENECK[config.name]
    return endpoints | stages(x, counts, config.output_stride, branch, norm, stride=4 if config.max_pool else 2)[0]


def _application(config: ResNetConfig) -> tuple[str, dict[str, Any]]:
    return {"resnet50": "ResNet50", "resnet101": "ResNet101"}[config.name], {}


def _application_layers(config: ResNetConfig) -> dict[str, tuple[str, str | None]]:
    """Layer of ours -> its convolution and normalisation in `keras.applications`, whose shortcuts have the number 0."""
    layers: dict[str, tuple[str, str | None]] = {"stem": ("conv1_conv", "conv1_bn")}
    for stage, count in zip(STAGE_WIDTHS, BOTTLENECK[config.name], strict=True):
        for block in range(1, count + 1):
            parts = {"conv1": 1, "conv2": 2, "conv3": 3} | ({"shortcut": 0} if block == 1 else {})
            for part, number in parts.items():
                theirs = f"conv{stage}_block{block}_{number}"
                layers[f"stage{stage}_block{block}_{part}"] = (f"{theirs}_conv", f"{theirs}_bn")
    return layers


# Source: `keras.applications.resnet`: its epsilon, and "caffe" of `imagenet_utils.preprocess_input`.
IMAGENET = ImageNet(
    _application,
    _application_layers,
    epsilon=1.001e-5,
    mean=(123.68, 116.779, 103.939),
    divisor=1.0,
    channels="BGR",
)
RESNET = Backbone(ResNetConfig, build, stage_strides, IMAGENET)


def stem(image, kind: str, width_multiplier: float, norm: Norm):
    """The first convolutions, to stride 2."""
    narrow, wide = (max(1, round(width * width_multiplier)) for width in (64, 128))
    if kind == "plain":
        return conv(image, narrow, 7, "stem", norm, stride=2)
    x = conv(image, narrow, 3, "stem_conv1", norm, stride=2)
    x = conv(x, narrow, 3, "stem_conv2", norm)
    return conv(x, wide, 3, "stem_conv3", norm)


def _max_pool(x):
    """The largest of 3x3 cells, to half the grid, padded on all sides."""
    import keras

    # After a ReLU a border of 0 is never larger than the cells inside.
    x = keras.layers.ZeroPadding2D(1, name="stem_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)


def bottleneck(x, width: int, place: Place, norm: Norm, stride_on: str = "3x3"):
    """1x1, 3x3 (dilation), 1x1 to four times the width."""
    first, second = (place.stride, 1) if stride_on == "1x1" else (1, place.stride)
    y = conv(x, width, 1, f"{place.name}_conv1", norm, stride=first)
    y = conv(y, width, 3, f"{place.name}_conv2", norm, stride=second, dilation=place.dilation)
    return last_conv(y, BOTTLENECK_EXPANSION * width, 1, f"{place.name}_conv3", norm)


def _basic(x, width: int, place: Place, norm: Norm):
    """Two 3x3 convolutions, the first with the stride."""
    y = conv(x, width, 3, f"{place.name}_conv1", norm, stride=place.stride, dilation=place.dilation)
    return last_conv(y, width, 3, f"{place.name}_conv2", norm, dilation=place.dilation)


def last_conv(x, filters: int, kernel_size: int, name: str, norm: Norm, **options):
    """The convolution that ends a branch: not activated, and 0 before training."""
    return conv(x, filters, kernel_size, name, norm, activation=None, gamma_initializer="zeros", **options)


def conv(x, filters: int, kernel_size: int, name: str, norm: Norm, **options):
    """`x` after a `ConvNorm`."""
    from tfpanoptic.layers.conv import ConvNorm

    return ConvNorm(filters, kernel_size, norm=norm, name=name, **options)(x)
