"""What may happen to a training image."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tfpanoptic.settings.config import StrictConfig


class CopyPasteConfig(StrictConfig):
    """Segments of a second training image over the first.

    Source: Ghiasi et al. 2021, Simple Copy-Paste, for instances; kMaX-DeepLab (its PyTorch version), for panoptic
    truth: probability 1, scale 0.5, instances all, stuff true.
    """

    # Share of the images that something may be pasted on.
    probability: float = Field(0.5, gt=0, le=1)
    # Times the random scale, for the second image.
    scale: float = Field(1.0, gt=0)
    # All things of the second image, or some: a random number of them.
    instances: Literal["some", "all"] = "some"
    # At most so many things.
    max_instances: int | None = Field(None, ge=1)
    # Its stuff, too: a random number of its segments.
    stuff: bool = False


class AugmentConfig(StrictConfig):
    """The random changes of a training image."""

    # (height, width) of the training images. What is larger is cut at a random place, what is smaller lies at the top
    # left, then there is black and void. Without cuts, it holds the largest that image and scale can be: for short
    # sides up to 800 and long ones up to 1333, upright and wide, 1333 x 1333, or the next that the grid allows.
    crop: tuple[int, int]
    # Target of the shorter side, each equally likely, in place of the input policy's resize, which then is that of
    # inference alone; `max_long_side` limits the longer one.
    short_sides: tuple[Annotated[int, Field(gt=0)], ...] | None = None
    max_long_side: int | None = Field(None, gt=0)
    # Range of the random scale, beside the resize. Large scale jitter is 0.1 to 2 times an image that fits the crop:
    # `input.long_side` as long as the crop.
    min_scale: float = Field(1.0, gt=0)
    max_scale: float = Field(1.0, gt=0)
    # Only the scales from `min_scale` to `max_scale` in steps of it, each equally likely.
    scale_step: float | None = Field(None, gt=0)
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
    # The colour changes of a published recipe, in place of the four above: DeepLab2's, by its name there, or that of
    # EoMT for ADE20K and Cityscapes.
    color_policy: Literal["simple_classification_policy_magnitude_scale_0.2", "eomt"] | None = None
    copy_paste: CopyPasteConfig | None = None

    @property
    def scale_steps(self) -> int | None:
        """From how many steps up from `min_scale` the scale is; None: any scale between."""
        return None if self.scale_step is None else round((self.max_scale - self.min_scale) / self.scale_step)

    @model_validator(mode="after")
    def _ordered(self) -> AugmentConfig:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale {self.min_scale} is above max_scale {self.max_scale}")
        if min(self.crop) < 1:
            raise ValueError(f"crop must be two positive numbers, found {self.crop}")
        return self

    @model_validator(mode="after")
    def _one_rule(self) -> AugmentConfig:
        if self.short_sides == ():
            raise ValueError("short_sides must be one number or more, found none")
        if self.max_long_side is not None and self.short_sides is None:
            raise ValueError("max_long_side limits short_sides, which are missing; the input has a max_long_side, too")
        jitter = [name for name in ("brightness", "contrast", "saturation", "hue") if getattr(self, name)]
        if self.color_policy is not None and jitter:
            raise ValueError(f"color_policy takes the place of {' and '.join(jitter)}; expected one of them")
        return self

    @model_validator(mode="after")
    def _fitting_steps(self) -> AugmentConfig:
        if self.scale_step is None or self.scale_steps is None:
            return self
        if abs(self.min_scale + self.scale_steps * self.scale_step - self.max_scale) > 1e-6:
            raise ValueError(
                f"scale_step must lead from min_scale {self.min_scale} to max_scale {self.max_scale} in whole steps, "
                f"found {self.scale_step}"
            )
        if self.scale_distribution != "uniform":
            raise ValueError(f"scale_step is for the scale_distribution uniform, found {self.scale_distribution}")
        return self
