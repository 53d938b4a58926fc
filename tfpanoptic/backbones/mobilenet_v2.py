"""MobileNetV2, and the form with 5x5 depthwise convolutions that DeeperLab uses.

Endpoints are outputs of blocks, not activated, and the network ends at 320 channels, as in the authors' code of
Panoptic-DeepLab for PyTorch.

Source: Sandler et al. 2018, table 2; padding as TensorFlow's original and `keras.applications` have it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tfpanoptic.backbones.backbone import Backbone, ImageNet, require_for_imagenet
from tfpanoptic.backbones.dilated import stage_strides
from tfpanoptic.backbones.inverted_bottleneck import Block, inverted_bottlenecks, make_divisible
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm

ACTIVATION = "relu6"
STEM_CHANNELS = 32
# (expansion, channels, blocks, stride of the first block, endpoint of the last block)
GROUPS = (
    (1, 16, 1, 1, "res1"),
    (6, 24, 2, 2, "res2"),
    (6, 32, 3, 2, "res3"),
    (6, 64, 4, 2, None),
    (6, 96, 3, 1, "res4"),
    (6, 160, 3, 2, None),
    (6, 320, 1, 1, "res5"),
)
# Those of which `keras.applications` has weights, and where the ones of full width are bundled.
IMAGENET_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
BUNDLED = Path(__file__).with_name("weights") / "mobilenet_v2.npz"


class MobileNetV2Config(StrictConfig):
    """A MobileNetV2 and what may be changed about it.

    Attributes:
        output_stride: of `res5`; blocks that may not stride any more dilate instead.
        width_multiplier: of all channels, which stay multiples of 8.
        kernel_size: of the depthwise convolutions; 5 is DeeperLab's.
        padding: of convolutions that stride; see `layers.conv.ConvNorm`. ImageNet weights need "same"; the PyTorch
            projects have "symmetric". Images of a multiple of the stride plus one are padded alike by both.
        weights: what training starts from; "imagenet" is bundled for full width, others are fetched.
    """

    name: Literal["mobilenet_v2"]
    output_stride: Literal[8, 16, 32] = 32
    width_multiplier: float = Field(1.0, gt=0)
    kernel_size: Literal[3, 5] = 3
    padding: Literal["symmetric", "same"] = "same"
    weights: Literal["imagenet"] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> MobileNetV2Config:
        require_for_imagenet(self, kernel_size=3, padding="same")
        if self.weights == "imagenet" and self.width_multiplier not in IMAGENET_WIDTHS:
            known = ", ".join(map(str, IMAGENET_WIDTHS))
            raise ValueError(
                f"weights imagenet of mobilenet_v2 need width_multiplier: one of {known}, found {self.width_multiplier}"
            )
        return self


def build(image, config: MobileNetV2Config, norm: Norm, seed=None) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3]: 16, 24, 32, 96 and 320 channels at full width."""
    from tfpanoptic.layers.conv import ConvNorm

    stem = make_divisible(STEM_CHANNELS * config.width_multiplier)
    conv = ConvNorm(stem, 3, 2, activation=ACTIVATION, norm=norm, padding=config.padding, name="block0_conv")
    _, outputs = inverted_bottlenecks(conv(image), _blocks(config), config.output_stride, norm, config.padding)
    return {endpoint: output.projected for endpoint, output in outputs.items()}


def _blocks(config: MobileNetV2Config) -> list[Block]:
    blocks = []
    for expansion, channels, count, stride, endpoint in GROUPS:
        width = make_divisible(channels * config.width_multiplier)
        for number in range(1, count + 1):
            first, last = number == 1, number == count
            stage = (config.kernel_size, stride if first else 1, width, ACTIVATION, False, expansion)
            blocks.append(Block(*stage, endpoint if last else None))
    return blocks


def _application(config: MobileNetV2Config) -> tuple[str, dict[str, Any]]:
    return "MobileNetV2", {"alpha": config.width_multiplier}


def _application_layers(config: MobileNetV2Config) -> dict[str, tuple[str, str | None]]:
    """Layer of ours -> its convolution and normalisation in `keras.applications`, which counts the blocks from 0."""
    layers: dict[str, tuple[str, str | None]] = {"block0_conv": ("Conv1", "bn_Conv1")}
    for number, block in enumerate(_blocks(config)):
        name = f"block_{number}" if number else "expanded_conv"
        for part in ("expand", "depthwise", "project")[block.expansion == 1 :]:
            layers[f"block{number + 1}_{part}"] = (f"{name}_{part}", f"{name}_{part}_BN")
    return layers


IMAGENET = ImageNet(
    _application,
    _application_layers,
    epsilon=1e-3,
    mean=(127.5, 127.5, 127.5),
    divisor=127.5,
    bundled=lambda config: BUNDLED if config.width_multiplier == 1.0 else None,
)
MOBILENET_V2 = Backbone(MobileNetV2Config, build, stage_strides, IMAGENET)
