"""Settings of test-time augmentation: as what views an image is segmented."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from tfpanoptic.settings.config import StrictConfig


class ViewsConfig(StrictConfig):
    """The views of an image whose outputs are averaged; by default the image itself.

    The weights do not depend on them. Every view is a run of the network, of about scale**2 times the work.
    """

    # Every scale also with left and right exchanged.
    flip: bool = False
    # Factors of the size that the input policy gives; 1 need not be among them. Cheng et al. 2020 take 0.5, 0.75, 1,
    # 1.25, 1.5, 1.75 and 2 with flips on Cityscapes, and those up to 1.5 on COCO.
    scales: tuple[Annotated[float, Field(ge=0.1, le=10, strict=True)], ...] = (1.0,)

    @field_validator("scales")
    @classmethod
    def _scales_differ(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not scales:
            raise ValueError("expected a scale or more")
        if len({round(1_000 * scale) for scale in scales}) < len(scales):
            raise ValueError("a scale counts once; expected scales that differ by a thousandth or more")
        return scales

    @property
    def views(self) -> tuple[tuple[float, bool], ...]:
        """The scale of each view, and whether it is mirrored."""
        mirrored = (False, True) if self.flip else (False,)
        return tuple((scale, flipped) for scale in self.scales for flipped in mirrored)

    @property
    def augments(self) -> bool:
        """Whether there is more to see than the image itself."""
        return self.views != ((1.0, False),)

    def __str__(self) -> str:
        """One line for the command line."""
        scales = f"scale{'s' * (len(self.scales) > 1)} " + ", ".join(f"{scale:g}" for scale in self.scales)
        return f"{len(self.views)} views: {scales}{', as it is and mirrored' * self.flip}"
