"""The configuration of the input-size policy."""

from __future__ import annotations

from pydantic import Field, model_validator

from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.sizes import DeepGrey


class InputConfig(StrictConfig):
    """The policy. At most one of `short_side`, `long_side` and `size`; without one the image keeps its size."""

    # Target of the shorter side; `max_long_side` limits the longer one. Alone, `max_long_side` shrinks the images whose
    # longer side is above it, and others keep their size.
    short_side: int | None = Field(None, gt=0)
    max_long_side: int | None = Field(None, gt=0)
    # Target of the longer side.
    long_side: int | None = Field(None, gt=0)
    # (height, width), whatever the proportions were.
    size: tuple[int, int] | None = None
    # (height, width) that inputs have at least, however small the image: image pooling sees the padding, too, and
    # then as much as in training. Source: DeepLab2 evaluates COCO images padded to the training crop, 641 x 641.
    pad_to: tuple[int, int] | None = None
    # Grey files of 16 bits: "high_byte" keeps the upper 8 bits, the same for all files; "file_range" takes each file's
    # lowest value for 0 and its highest for 255, and reads files of 32 bits and of floating-point numbers, too. Of
    # colours of 16 bits the upper 8 are kept.
    deep_grey: DeepGrey = "high_byte"

    @model_validator(mode="after")
    def _one_rule(self) -> InputConfig:
        rules = [rule for rule in ("short_side", "long_side", "size") if getattr(self, rule) is not None]
        if len(rules) > 1:
            raise ValueError(f"expected at most one of short_side, long_side and size, found {' and '.join(rules)}")
        if self.max_long_side is not None and rules and self.short_side is None:
            raise ValueError(f"max_long_side limits short_side or the image's own size, not {rules[0]}")
        for name in ("size", "pad_to"):
            sides = getattr(self, name)
            if sides is not None and min(sides) < 1:
                raise ValueError(f"{name} must be two positive numbers, found {sides}")
        return self
