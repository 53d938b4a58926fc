"""From pixels 0..255 to the numbers a network starts from."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.valid import valid_pixels

# Deviation, in grey levels, below which an image counts as flat: its noise is not blown up. Own choice;
# one level is the step of an 8-bit file.
DEVIATION_FLOOR = 1.0


@keras.saving.register_keras_serializable(package="tfpanoptic")
class NormalizeImage(keras.layers.Layer):
    """Images ready for the first convolution, in float32 under any policy.

    Args:
        mode: "symmetric": x / 127.5 - 1 (DeepLab2; the padding value 127.5 becomes 0).
            "per_image": minus the mean, divided by the deviation, of each image's valid pixels; one mean and
            one deviation for the three channels, so that colours keep their ratios. 0 outside the valid part.

    Raises:
        ValueError: another mode.
    """

    MODES = ("symmetric", "per_image")

    def __init__(self, mode: str, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if mode not in self.MODES:
            raise ValueError(f"mode must be one of {self.MODES}, got {mode!r}")
        self.mode = mode

    def call(self, image, valid_size):
        """Normalised images.

        Args:
            image: float32 [B, H, W, 3], 0..255.
            valid_size: int32 [B, 2], (height, width) of each image's un-padded, top-left part.
        """
        if self.mode == "symmetric":
            return image / 127.5 - 1.0
        valid = valid_pixels(valid_size, ops.shape(image)[1:3])
        mask = ops.cast(ops.expand_dims(valid, 3), image.dtype)  # [B, H, W, 1]
        count = 3.0 * ops.maximum(ops.sum(mask, axis=(1, 2, 3), keepdims=True), 1.0)
        centered = image - ops.sum(image * mask, axis=(1, 2, 3), keepdims=True) / count
        variance = ops.sum(ops.square(centered) * mask, axis=(1, 2, 3), keepdims=True) / count
        return centered * mask / ops.maximum(ops.sqrt(variance), DEVIATION_FLOOR)

    def compute_output_spec(self, image, valid_size):
        """The image's shape, float32; height and width may be unknown."""
        return keras.KerasTensor(image.shape, dtype="float32")

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "mode": self.mode}
