"""COCO panoptic 2017 as downloaded: 118,287 + 5,000 photos, 80 things and 53 stuff.

Source: https://cocodataset.org/#download, "2017 Train images", "2017 Val images" and "2017 Panoptic Train/Val
annotations". That archive holds the PNGs in archives of their own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import CocoFiles, coco_categories
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.data.layout import ROOT, require_part, require_root, require_split
from tfpanoptic.data.sets.official import PanopticFiles, photos_of_folder, read_official
from tfpanoptic.errors import SettingError
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath

LAYOUT = (
    "train2017/ and val2017/ of photos, annotations/panoptic_{train,val}2017.json and "
    "annotations/panoptic_{train,val}2017/ of PNGs"
)


class CocoConfig(DatasetConfig):
    """COCO panoptic 2017."""

    name: Literal["coco"] = "coco"
    # The folder with train2017/, val2017/ and annotations/.
    root: FilePath


def load_coco(config: CocoConfig, split: str) -> Dataset:
    """The photos of train2017 or val2017.

    Raises:
        SettingError: a folder or the JSON is missing.
        InputError: another split, wrong files, or photos or PNGs that the JSON lists are missing.
    """
    require_split("coco", split)
    images, annotations, panoptic = coco_set_files(config, split)
    files = PanopticFiles(annotations, panoptic, images, photos_of_folder(images))
    return read_official("coco", split, coco_categories(), files)


def coco_set_files(config: CocoConfig, split: str) -> CocoFiles:
    """Where a split lies.

    Raises:
        SettingError: a folder or the JSON is missing.
    """
    root, year = require_root(config.root, LAYOUT), f"{split}2017"
    annotations = require_part(root, [f"annotations/panoptic_{year}.json", f"panoptic_{year}.json"], LAYOUT)
    images = require_part(root, [year, f"images/{year}"], LAYOUT)
    return CocoFiles(images, annotations, _folder_of_pngs(root, year))


def coco_set_categories(config: CocoConfig) -> CategoryTable:
    """The 133 categories; no file is read."""
    del config
    return coco_categories()


def _folder_of_pngs(root: Path, year: str) -> Path:
    """The folder of PNGs; unzipping their archive puts it beside the JSON, or one level deeper."""
    name, listing = f"panoptic_{year}", FolderListing()
    places = [f"annotations/{name}", f"annotations/{name}/{name}", name]
    for place in places:
        if any(entry.endswith(".png") for entry in listing.names(root / place)):
            return root / place
    archive = root / "annotations" / f"{name}.zip"
    if os.path.exists(archive):
        raise SettingError(ROOT, f"{archive}: still packed; expected {name}/ with its PNGs beside it")
    return require_part(root, places, LAYOUT)
