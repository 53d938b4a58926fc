"""MobileNetV3 of DeepLab2, and with `padding: same` and `gate: hard_sigmoid` that of `keras.applications`.

Endpoints are the outputs of the depthwise convolutions, so they have the expanded width.

Source: Howard et al. 2019, tables 1 and 2; DeepLab2 `model/encoder/mobilenet.py`, `model/layers/blocks.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from tfpanoptic.backbones.backbone import Backbone, ImageNet, require_for_imagenet
from tfpanoptic.backbones.dilated import stage_strides
from tfpanoptic.backbones.inverted_bottleneck import Block, inverted_bottlenecks
from tfpanoptic.settings.config import StrictConfig

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    import keras

    from tfpanoptic.layers.norm import Norm


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
# Blocks between the first and the last convolution, and the width of the last one.
CHAINS = {"mobilenet_v3_large": (LARGE, 960), "mobilenet_v3_small": (SMALL, 576)}


class MobileNetV3Config(StrictConfig):
    """A MobileNetV3 and what may be changed about it.

    Attributes:
        output_stride: of `res5`; blocks that may not stride any more dilate instead.
        padding: of convolutions that stride; see `layers.conv.ConvNorm`.
        gate: of squeeze-and-excitation.
        weights: what training starts from.
    """

    name: Literal["mobilenet_v3_large", "mobilenet_v3_small"]
    output_stride: Literal[8, 16, 32] = 32
    padding: Literal["symmetric", "same"] = "symmetric"
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"
    weights: Literal["imagenet"] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> MobileNetV3Config:
        require_for_imagenet(self, padding="same", gate="hard_sigmoid")
        return self


def build(image, config: MobileNetV3Config, norm: Norm, seed=None) -> dict[str, keras.KerasTensor]:
    """Endpoints `res1` to `res5` of a normalised image [B, H, W, 3], activated.

    They have 16, 72, 120, 672 and 960 channels in the large network, 16, 16, 88, 144 and 576 in the small one.
    """
    from tfpanoptic.layers.conv import ConvNorm

    blocks, top_channels = CHAINS[config.name]
    x = ConvNorm(16, 3, stride=2, activation=_H, norm=norm, padding=config.padding, name="block0_conv")(image)
    top, outputs = inverted_bottlenecks(x, blocks, config.output_stride, norm, config.padding, config.gate)
    endpoints = {"res1": x, **{endpoint: output.expanded for endpoint, output in outputs.items()}}
    top_name = f"block{len(blocks) + 1}_conv"
    endpoints["res5"] = ConvNorm(top_channels, 1, activation=_H, norm=norm, name=top_name)(top)
    return endpoints


def _application(config: MobileNetV3Config) -> tuple[str, dict[str, Any]]:
    name = {"mobilenet_v3_large": "MobileNetV3Large", "mobilenet_v3_small": "MobileNetV3Small"}[config.name]
    return name, {"include_preprocessing": False}


def _application_layers(config: MobileNetV3Config) -> dict[str, tuple[str, str | None]]:
    """Layer of ours -> its convolution and normalisation in `keras.applications`, which counts the blocks from 0."""
    blocks, _ = CHAINS[config.name]
    layers: dict[str, tuple[str, str | None]] = {"block0_conv": ("conv", "conv_bn")}
    for number, block in enumerate(blocks):
        ours, theirs = f"block{number + 1}", f"expanded_conv_{number}" if number else "expanded_conv"
        for part in ("expand", "depthwise", "project")[block.expansion == 1 :]:
            layers[f"{ours}_{part}"] = (f"{theirs}_{part}", f"{theirs}_{part}_bn")
        if block.squeeze_excite:
            layers[f"{ours}_squeeze_excite/reduce"] = (f"{theirs}_squeeze_excite_conv", None)
            layers[f"{ours}_squeeze_excite/expand"] = (f"{theirs}_squeeze_excite_conv_1", None)
    layers[f"block{len(blocks) + 1}_conv"] = ("conv_1", "conv_1_bn")
    return layers


IMAGENET = ImageNet(_application, _application_layers, epsilon=1e-3, mean=(127.5, 127.5, 127.5), divisor=127.5)
MOBILENET_V3 = Backbone(MobileNetV3Config, build, stage_strides, IMAGENET)
