"""What may happen to a training image."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfpanoptic.settings.config import StrictConfig


class AugmentConfig(StrictConfig):
    """The random changes of a training image."""

    # (height, width) of the training images.
    crop: tuple[int, int]
    # Range of the random scale, beside the input policy's own resize.
    min_scale: float = Field(1.0, gt=0)
    max_scale: float = Field(1.0, gt=0)
    # "log" draws halving and doubling equally often.
    scale_distribution: Literal["uniform", "log"] = "uniform"
    flip_horizontal: bool = True
    # For images without an up: microscopy, aerial.
    flip_vertical: bool = False
    quarter_turns: bool = False
    # Largest change, as a fraction: of 255, of the distance to the mean, of the colourfulness.
    brightness: float = Field(0.0, ge=0, le=1)
    contrast: float = Field(0.0, ge=0, lt=1)
    saturation: float = Field(0.0, ge=0, le=1)
    # Largest turn of the hue, as a fraction of the colour circle.
    hue: float = Field(0.0, ge=0, le=0.5)

    @model_validator(mode="after")
    def _ordered(self) -> AugmentConfig:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale {self.min_scale} is above max_scale {self.max_scale}")
        if min(self.crop) < 1:
            raise ValueError(f"crop must be two positive numbers, found {self.crop}")
        return self
