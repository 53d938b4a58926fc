"""Settings of the normalisation that follows a network's convolutions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfpanoptic.settings.config import StrictConfig


class NormConfig(StrictConfig):
    """Which normalisation; the values mean what `layers.norm.Norm` says. Defaults: batch normalisation of Keras."""

    kind: Literal["batch", "frozen", "group", "none"] = "batch"
    epsilon: float = Field(1e-3, gt=0)
    momentum: float = Field(0.99, ge=0, lt=1)
    groups: int = Field(32, ge=1)
