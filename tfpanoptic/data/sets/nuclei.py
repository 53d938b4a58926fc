"""The bundled nuclei: 120 + 40 microscopy images, fluorescence and stained tissue, with every nucleus outlined.

A part of the Data Science Bowl 2018 (BBBC038v1), CC0 1.0; see `bundled/nuclei/NOTICE`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import CocoFiles, files_in, read_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.layout import require_split
from tfpanoptic.settings.dataset import DatasetConfig

FOLDER = Path(__file__).parents[1] / "bundled" / "nuclei"


class NucleiConfig(DatasetConfig):
    """The bundled nuclei; nothing to set."""

    name: Literal["nuclei"] = "nuclei"


def load_nuclei(config: NucleiConfig, split: str) -> Dataset:
    """The split of a configuration."""
    del config
    return nuclei(split)


def nuclei_files(config: NucleiConfig, split: str) -> CocoFiles:
    """Where a split lies."""
    del config
    return files_in(FOLDER / split)


def nuclei_categories(config: NucleiConfig) -> CategoryTable:
    """Thing `nucleus`, stuff `background`."""
    return load_nuclei(config, "train").categories


def nuclei(split: str) -> Dataset:
    """120 training or 40 validation images of 256 x 256 to 360 x 360; thing `nucleus`, stuff `background`.

    `extra["kind"]` of a record says how it was made: fluorescence or stained tissue.

    Raises:
        InputError: `split` is neither "train" nor "val".
    """
    require_split("nuclei", split)
    dataset = read_coco_panoptic(*files_in(FOLDER / split), name="nuclei")
    return replace(dataset, split=split)
