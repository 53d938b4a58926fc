"""What the configuration of every dataset takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.label_space import RemapConfig
from tfpanoptic.settings.training import Pattern

HAS_VALIDATION = (
    "the set has a validation part of its own; leave val_share out (select_share alone takes the images that choose "
    "the best weights out of train)"
)


class DatasetConfig(StrictConfig):
    """The section `data` of an experiment; each dataset adds its own keys."""

    name: str
    # Other categories than those of the files; see `RemapConfig`.
    remap: RemapConfig | None = None
    # Share of the training images that becomes the validation part, for a set that has none of its own.
    val_share: float | None = Field(None, gt=0, lt=1)
    # Share of the training images that choose the best weights, so that those of the validation part choose nothing;
    # by default half of `val_share`, and without one none: then the validation part does both.
    select_share: float | None = Field(None, gt=0, lt=1)
    # The parts are drawn by a hash of this number and an image's name: other images do not move it.
    share_seed: int = Field(0, ge=0)
    # Images of one group go into one part: what this finds in their names, or its first group in parentheses.
    share_group: Pattern | None = None

    @property
    def has_val(self) -> bool:
        """Whether the set has a validation part of its own; a kind that may lack one says so here."""
        return True

    @property
    def select_part(self) -> float:
        """The share of the training images that choose the best weights; 0 where the validation part does."""
        return self.select_share or (self.val_share or 0.0) / 2

    @property
    def chooses_on(self) -> Literal["select", "val"]:
        """The split whose images choose weights and settings."""
        return "select" if self.select_part else "val"

    @model_validator(mode="after")
    def _shares_leave_images(self) -> DatasetConfig:
        if self.val_share is not None and self.has_val:
            raise ValueError(f"val_share {self.val_share}: {HAS_VALIDATION}")
        held_out = (self.val_share or 0.0) + self.select_part
        if held_out >= 1:
            raise ValueError(
                f"val_share {self.val_share or 0:g} and select_share {self.select_part:g} leave nothing to train on"
            )
        if self.share_group is not None and not held_out:
            raise ValueError("share_group belongs to val_share or select_share; neither is set")
        return self
