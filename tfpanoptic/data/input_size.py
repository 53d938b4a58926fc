"""The input-size policy: how an image of any size becomes a network input.

Resize, then pad at the bottom and right to a size that the network's strides fit and that is at least `pad_to`.
The same functions serve training, `segment`, evaluation and every export.
"""

from __future__ import annotations

from typing import Any

import pydantic
import tensorflow as tf
from pydantic import Field

from tfpanoptic.settings.config import StrictConfig


class InputConfig(StrictConfig):
    """The policy. At most one of `short_side`, `long_side` and `size`; without one the image keeps its size."""

    # Target of the shorter side; `max_long_side` limits the longer one.
    short_side: int | None = Field(None, gt=0)
    max_long_side: int | None = Field(None, gt=0)
    # Target of the longer side.
    long_side: int | None = Field(None, gt=0)
    # (height, width), whatever the proportions were.
    size: tuple[int, int] | None = None
    # Inputs are padded to k * stride, or k * stride + 1 where `plus_one` (the aligned-corners networks of DeepLab2).
    stride: int = Field(32, gt=0)
    plus_one: bool = False
    # (height, width) that inputs have at least, however small the image: image pooling sees the padding, too, and
    # then as much as in training. Source: DeepLab2 evaluates COCO images padded to the training crop, 641 x 641.
    pad_to: tuple[int, int] | None = None
    # Becomes 0 after `symmetric` normalisation. Source: DeepLab2, data/preprocessing.
    pad_value: float = Field(127.5, ge=0, le=255)
    # Grid of the resize: aligned corners, as DeepLab2 resizes, or half-pixel centres.
    align_corners: bool = True

    @pydantic.model_validator(mode="after")
    def _one_rule(self) -> InputConfig:
        rules = [rule for rule in ("short_side", "long_side", "size") if getattr(self, rule) is not None]
        if len(rules) > 1:
            raise ValueError(f"expected at most one of short_side, long_side and size, found {' and '.join(rules)}")
        if self.max_long_side is not None and self.short_side is None:
            raise ValueError("max_long_side limits short_side, which is not set")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size must be two positive numbers, found {self.size}")
        if self.pad_to is not None:
            fitting = tuple(padded_side(side, self) for side in self.pad_to)
            if fitting != self.pad_to:
                raise ValueError(
                    f"pad_to {list(self.pad_to)}: sides must be {size_rule(self)}; the next is {list(fitting)}"
                )
        return self


def resized_size(height: Any, width: Any, config: InputConfig) -> tuple[Any, Any]:
    """(height, width) after resizing, before padding; Python ints from ints, int32 scalars from tensors.

    Sides are rounded half up, in integers, so that ints and tensors never differ.
    """
    in_graph = tf.is_tensor(height)
    minimum, maximum = (tf.minimum, tf.maximum) if in_graph else (min, max)
    if config.size is not None:
        return tuple(tf.constant(config.size)) if in_graph else config.size  # type: ignore[return-value]
    short, long = minimum(height, width), maximum(height, width)
    if config.long_side is not None:
        sides = [_ratio(side, config.long_side, long) for side in (height, width)]
    elif config.short_side is not None:
        sides = [_ratio(side, config.short_side, short) for side in (height, width)]
        if config.max_long_side is not None:
            limits = [_ratio(side, config.max_long_side, long) for side in (height, width)]
            sides = [minimum(side, limit) for side, limit in zip(sides, limits, strict=True)]
    else:
        sides = [height, width]
    return maximum(sides[0], 1), maximum(sides[1], 1)


def _ratio(side: Any, target: int, whole: Any) -> Any:
    """Target times side over whole, rounded half up."""
    return (2 * side * target + whole) // (2 * whole)


def network_size(height: Any, width: Any, config: InputConfig) -> tuple[Any, Any]:
    """(height, width) of the network input for an image of `height` x `width`; ints from ints, tensors from tensors."""
    return _padded_size(*resized_size(height, width, config), config)


def _padded_size(height: Any, width: Any, config: InputConfig) -> tuple[Any, Any]:
    """(height, width) after padding, for an image already resized."""
    maximum = tf.maximum if tf.is_tensor(height) else max
    low = config.pad_to or (1, 1)
    return maximum(padded_side(height, config), low[0]), maximum(padded_side(width, config), low[1])


def padded_side(side: Any, config: InputConfig) -> Any:
    """The smallest k * stride, or k * stride + 1 with `plus_one`, that is at least `side`; k is at least 1."""
    extra = int(config.plus_one)
    blocks = (side - extra + config.stride - 1) // config.stride
    return (tf.maximum if tf.is_tensor(side) else max)(blocks, 1) * config.stride + extra


def size_rule(config: InputConfig) -> str:
    """The sides that the stride allows, for messages."""
    return f"k * {config.stride}" + (" + 1" if config.plus_one else "")


def prepare(image: Any, config: InputConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """One image as network input.

    Args:
        image: uint8 or float `[H, W, 3]`, RGB 0..255.
        config: the policy.

    Returns:
        float32 `[h, w, 3]`, the image in its top-left part, and int32 `[2]`, (height, width) of that part.
    """
    images, valid_size = prepare_batch(tf.expand_dims(image, 0), config)
    return images[0], valid_size[0]


def prepare_batch(images: Any, config: InputConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Images of one size as network input.

    Args:
        images: uint8 or float `[B, H, W, 3]`, RGB 0..255.
        config: the policy.

    Returns:
        float32 `[B, h, w, 3]`, the images in the top-left parts, and int32 `[B, 2]`, (height, width) of those parts.
    """
    images = tf.cast(images, tf.float32)
    shape = tf.shape(images)
    size = tf.stack(resized_size(shape[1], shape[2], config))
    if config.size or config.short_side or config.long_side:
        images = tf.raw_ops.ResizeBilinear(
            images=images, size=size, align_corners=config.align_corners, half_pixel_centers=not config.align_corners
        )
    bottom, right = tf.unstack(tf.stack(_padded_size(size[0], size[1], config)) - size)
    images = tf.pad(images, [[0, 0], [0, bottom], [0, right], [0, 0]], constant_values=config.pad_value)
    return images, tf.tile(tf.expand_dims(size, 0), (shape[0], 1))
