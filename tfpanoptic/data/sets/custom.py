"""A folder of one's own in COCO panoptic format: train/ and val/, each with images/, panoptic/ and panoptic.json.

It is the layout that `write_coco_panoptic` writes. A folder with images/, panoptic/ and panoptic.json itself has a
training part alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import CocoFiles, categories_of_file, files_in, read_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.layout import ROOT, require_part, require_root, require_split
from tfpanoptic.errors import SettingError
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath

PART = "images/, panoptic/ and panoptic.json"
LAYOUT = f"train/ and val/, each with {PART}, or {PART} itself"


class CustomConfig(DatasetConfig):
    """Photos of one's own in COCO panoptic format."""

    name: Literal["custom"] = "custom"
    # The folder with train/ and val/, or with images/, panoptic/ and panoptic.json.
    root: FilePath

    @property
    def has_val(self) -> bool:
        """Whether there is val/ beside train/."""
        return (Path(self.root) / "train/panoptic.json").is_file() and (Path(self.root) / "val/panoptic.json").is_file()


def load_custom(config: CustomConfig, split: str) -> Dataset:
    """The images of train/ or val/.

    The categories of the validation are matched to those of the training by name; those that the training lacks come
    behind, so that their segments count as missed, and `truth_only` names them.

    Raises:
        SettingError: the part is missing.
        InputError: another split, or wrong files.
    """
    require_split("custom", split)
    train = _train_annotations(config)
    if split == "train":
        return replace(_read(train, None), split="train")
    val = custom_files(config, "val")
    if val is None:
        raise SettingError(
            ROOT,
            f"{config.root}: no validation part (val/ with {PART}); make one, or give data.val_share, the share of "
            "the training images that validates",
        )
    return replace(_read(val.annotations, categories_of_file(train)), split="val")


def custom_files(config: CustomConfig, split: str) -> CocoFiles | None:
    """Where a split lies, None where the folder has no validation part.

    Raises:
        SettingError: there is no training part.
    """
    train = _train_annotations(config).parent
    if split == "train":
        return files_in(train)
    return files_in(train.with_name(split)) if config.has_val else None


def custom_categories(config: CustomConfig) -> CategoryTable:
    """The categories of the training's JSON.

    Raises:
        SettingError: there is none.
        InputError: it holds no panoptic categories.
    """
    return categories_of_file(_train_annotations(config))


def _train_annotations(config: CustomConfig) -> Path:
    root = require_root(config.root, LAYOUT)
    return require_part(root, ["train/panoptic.json", "panoptic.json"], LAYOUT)


def _read(annotations: Path, categories: CategoryTable | None) -> Dataset:
    for part in ("images", "panoptic"):
        require_part(annotations.parent, [part], PART)
    return read_coco_panoptic(*files_in(annotations.parent), "custom", categories)
