"""What the configuration of every dataset takes."""

from __future__ import annotations

from tfpanoptic.settings.config import StrictConfig


class DatasetConfig(StrictConfig):
    """The section `data` of an experiment; each dataset adds its own keys."""
