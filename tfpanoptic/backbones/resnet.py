"""ResNets of DeepLab2, and two small ones for small data.

Differences from other ResNets: no max-pooling (the first block of stage 2 strides instead), the stride of a
bottleneck on its 3x3 convolution, dilation in place of strides beyond the output stride. DeepLab2 writes a block as
ReLU, convolutions, sum; here it is convolutions, sum, ReLU, which is the same chain cut elsewhere.

Source: He et al. 2016; DeepLab2 `model/encoder/axial_resnet.py`, `model/layers/{axial_blocks,stems}.py`.
"""

from __future__ import annotations

import keras

from tfpanoptic.errors import InputError
from tfpanoptic.layers.conv import ConvNorm
from tfpanoptic.layers.norm import Norm

# Width of stages 2 to 5 between the 1x1 convolutions of a bottleneck, or of both convolutions of a basic block.
STAGE_WIDTHS = {2: 64, 3: 128, 4: 256, 5: 512}
BOTTLENECK_EXPANSION = 4


def resnet50(image, output_stride: int, norm: Norm, stem: str = "plain", width_multiplier: float = 1.0):
    """ResNet-50 endpoints; see `bottleneck_resnet`."""
    return bottleneck_resnet(image, (3, 4, 6, 3), output_stride, norm, stem, width_multiplier)


def resnet101(image, output_stride: int, norm: Norm, stem: str = "plain", width_multiplier: float = 1.0):
    """ResNet-101 endpoints; see `bottleneck_resnet`."""
    return bottleneck_resnet(image, (3, 4, 23, 3), output_stride, norm, stem, width_multiplier)


def resnet10(image, output_stride: int, norm: Norm, stem: str = "plain", width_multiplier: float = 1.0):
    """Endpoints of basic blocks 1, 1, 1, 1; see `basic_resnet`."""
    return basic_resnet(image, (1, 1, 1, 1), output_stride, norm, stem, width_multiplier)


def resnet18(image, output_stride: int, norm: Norm, stem: str = "plain", width_multiplier: float = 1.0):
    """Endpoints of basic blocks 2, 2, 2, 2; see `basic_resnet`."""
    return basic_resnet(image, (2, 2, 2, 2), output_stride, norm, stem, width_multiplier)


def bottleneck_resnet(
    image,
    blocks: tuple[int, int, int, int],
    output_stride: int,
    norm: Norm,
    stem: str = "plain",
    width_multiplier: float = 1.0,
) -> dict[str, keras.KerasTensor]:
    """Endpoints of a ResNet of bottleneck blocks.

    Args:
        image: float32 [B, H, W, 3], normalised.
        blocks: number of blocks in stages 2 to 5.
        output_stride: 8, 16 or 32; stride of `res5`.
        norm: the normalisation of all convolutions.
        stem: "plain", one 7x7 convolution to 64 channels, or "beta", three 3x3 ones to 64, 64 and 128.
        width_multiplier: of the stages, not of the stem.

    Returns:
        `res1` to `res5`, after their ReLU, at strides 2, 4, 8, 16, 32 or at most the output stride.

    Raises:
        InputError: an unknown stem.
    """
    x = _stem(image, stem, 1.0, norm)
    return _stages(x, _bottleneck, blocks, output_stride, width_multiplier, norm)


def basic_resnet(
    image,
    blocks: tuple[int, int, int, int],
    output_stride: int,
    norm: Norm,
    stem: str = "plain",
    width_multiplier: float = 1.0,
) -> dict[str, keras.KerasTensor]:
    """Endpoints of a ResNet of basic blocks, two 3x3 convolutions each; arguments as `bottleneck_resnet`.

    `width_multiplier` narrows the stem, too. Source: He et al. 2016, with the stems and strides of this file.
    """
    x = _stem(image, stem, width_multiplier, norm)
    return _stages(x, _basic, blocks, output_stride, width_multiplier, norm)


def _stem(image, kind: str, width_multiplier: float, norm: Norm):
    """The first convolutions, to stride 2."""
    narrow, wide = (max(1, round(width * width_multiplier)) for width in (64, 128))
    if kind == "plain":
        return ConvNorm(narrow, 7, stride=2, name="stem", norm=norm)(image)
    if kind == "beta":
        x = ConvNorm(narrow, 3, stride=2, name="stem_conv1", norm=norm)(image)
        x = ConvNorm(narrow, 3, name="stem_conv2", norm=norm)(x)
        return ConvNorm(wide, 3, name="stem_conv3", norm=norm)(x)
    raise InputError(f"backbone stem {kind!r}: expected plain or beta")


def _stages(x, block, blocks, output_stride: int, width_multiplier: float, norm: Norm):
    """Stages 2 to 5 on the stem's output; a stage that may not stride any more dilates instead.

    The first block of such a stage still has the dilation of the stage before.
    """
    endpoints = {"res1": x}
    stride, dilation = 2, 1
    for stage, count in zip(STAGE_WIDTHS, blocks, strict=True):
        width = max(1, round(STAGE_WIDTHS[stage] * width_multiplier))
        for number in range(1, count + 1):
            first = number == 1
            strides = 2 if first and stride < output_stride else 1
            x = block(x, width, strides, dilation, f"stage{stage}_block{number}", norm)
            if first:
                stride, dilation = (stride * 2, dilation) if strides == 2 else (stride, dilation * 2)
        endpoints[f"res{stage}"] = x
    return endpoints


def _bottleneck(x, width: int, stride: int, dilation: int, name: str, norm: Norm):
    """1x1, 3x3 (stride, dilation), 1x1 to four times the width, plus the shortcut."""
    out = BOTTLENECK_EXPANSION * width
    y = ConvNorm(width, 1, name=f"{name}_conv1", norm=norm)(x)
    y = ConvNorm(width, 3, stride, dilation, name=f"{name}_conv2", norm=norm)(y)
    y = ConvNorm(out, 1, activation=None, gamma_initializer="zeros", name=f"{name}_conv3", norm=norm)(y)
    return _add(y, x, stride, name, norm)


def _basic(x, width: int, stride: int, dilation: int, name: str, norm: Norm):
    """Two 3x3 convolutions, the first with the stride, plus the shortcut."""
    y = ConvNorm(width, 3, stride, dilation, name=f"{name}_conv1", norm=norm)(x)
    y = ConvNorm(
        width, 3, dilation=dilation, activation=None, gamma_initializer="zeros", name=f"{name}_conv2", norm=norm
    )(y)
    return _add(y, x, stride, name, norm)


def _add(y, x, stride: int, name: str, norm: Norm):
    """ReLU of `y` plus `x`; `x` is projected where the channels change, else only subsampled."""
    if x.shape[-1] != y.shape[-1]:
        x = ConvNorm(y.shape[-1], 1, stride, activation=None, name=f"{name}_shortcut", norm=norm)(x)
    elif stride > 1:
        x = keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}_subsample")(x)
    total = keras.layers.Add(name=f"{name}_add")([y, x])
    return keras.layers.ReLU(name=f"{name}_relu")(total)
