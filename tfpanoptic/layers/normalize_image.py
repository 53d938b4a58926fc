"""From pixels 0..255 to the numbers a network starts from."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.valid import valid_pixels

# Deviation, in grey levels, below which an image counts as flat: its noise is not blown up. Own choice;
# one level is the step of an 8-bit file.
DEVIATION_FLOOR = 1.0

# Red, green and blue of ImageNet's photos. Source: Detectron2's `MODEL.PIXEL_MEAN` (103.53, 116.28, 123.675), which
# is in the order blue, green, red; its `MODEL.PIXEL_STD` is 1.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
# Source: the same photos as fractions of 255, as torchvision, timm and EoMT have them.
IMAGENET_DEVIATION = (0.229 * 255, 0.224 * 255, 0.225 * 255)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class NormalizeImage(keras.layers.Layer):
    """Images ready for the first convolution, in float32 under any policy; outside the valid part 0, or black.

    Args:
        mode: "symmetric": x / 127.5 - 1 (DeepLab2, which pads with 127.5 beforehand).
            "per_image": minus the mean, divided by the deviation, of each image's valid pixels; one mean and
            one deviation for the three channels, so that colours keep their ratios.
            "imagenet_mean": minus `IMAGENET_MEAN`, not divided (Detectron2, whose padding comes after it).
            "imagenet": minus `IMAGENET_MEAN`, divided by `IMAGENET_DEVIATION`; the padding is black before that (EoMT).

    Raises:
        ValueError: another mode.
    """

    MODES = ("symmetric", "per_image", "imagenet_mean", "imagenet")

    def __init__(self, mode: str, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if mode not in self.MODES:
            raise ValueError(f"mode must be one of {self.MODES}, got {mode!r}")
        self.mode = mode

    def call(self, image, valid_size):
        """Normalised images, float32 [B, H, W, 3].

        Args:
            image: float32 [B, H, W, 3], 0..255; what the padding holds does not matter.
            valid_size: int32 [B, 2], (height, width) of each image's un-padded, top-left part.
        """
        valid = ops.expand_dims(valid_pixels(valid_size, ops.shape(image)[1:3]), 3)  # [B, H, W, 1]
        if self.mode == "symmetric":
            return ops.where(valid, image / 127.5 - 1.0, 0.0)
        if self.mode == "imagenet_mean":
            return ops.where(valid, image - ops.convert_to_tensor(IMAGENET_MEAN, image.dtype), 0.0)
        if self.mode == "imagenet":
            mean, deviation = (ops.convert_to_tensor(v, image.dtype) for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
            return (ops.where(valid, image, 0.0) - mean) / deviation
        count = 3.0 * ops.maximum(_sum(ops.cast(valid, image.dtype)), 1.0)
        mean = _sum(ops.where(valid, image, 0.0)) / count
        centered = ops.where(valid, image - mean, 0.0)
        return centered / ops.maximum(ops.sqrt(_sum(ops.square(centered)) / count), DEVIATION_FLOOR)

    def compute_output_spec(self, image, valid_size):
        """The image's shape, float32; height and width may be unknown."""
        return keras.KerasTensor(image.shape, dtype="float32")


def _sum(values):
    """Sum over each image, [B, 1, 1, 1]."""
    return ops.sum(values, axis=(1, 2, 3), keepdims=True)
