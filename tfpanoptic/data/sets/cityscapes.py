"""Cityscapes with fine annotations as downloaded: 2,975 + 500 photos, 8 things and 11 stuff.

The truth is `gtFine_instanceIds.png`, or the panoptic files that `createPanopticImgs` of the Cityscapes scripts makes
of them; both are the same segments. That script lists photos without their city's folder and as
`_gtFine_leftImg8bit.png`: they are found by city, sequence and frame.

Source: https://github.com/mcordts/cityscapesScripts, README and `preparation/createPanopticImgs.py`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.cityscapes_ids import cityscapes_categories, image_key, value_rows
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.data.folder_listing import files_below
from tfpanoptic.data.layout import folder_names, require_part, require_root, require_split
from tfpanoptic.data.scan import MapContents, scan_maps
from tfpanoptic.data.segment_png import read_grey_values
from tfpanoptic.data.sets.official import PanopticFiles, read_official, require_all
from tfpanoptic.data.storage import GREY_PNG, Storage
from tfpanoptic.errors import InputError
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath

PHOTO, TRUTH = "_leftImg8bit.png", "_gtFine_instanceIds.png"
LAYOUT = "leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and gtFine/{train,val}/CITY/*_gtFine_instanceIds.png"
STORAGE = Storage(GREY_PNG)


class CityscapesConfig(DatasetConfig):
    """Cityscapes."""

    name: Literal["cityscapes"] = "cityscapes"
    # The folder with leftImg8bit/ and gtFine/.
    root: FilePath
    # "panoptic" for gtFine/cityscapes_panoptic_{train,val}.json and their folders, "instance_ids" for the PNGs as
    # downloaded; by default the former where they were made. The first start with "instance_ids" reads all PNGs once.
    truth: Literal["instance_ids", "panoptic"] | None = None


def load_cityscapes(config: CityscapesConfig, split: str) -> Dataset:
    """The photos of a split.

    Raises:
        SettingError: a folder or the JSON is missing.
        InputError: another split, photos without truth or truth without photos, or wrong files.
    """
    require_split("cityscapes", split)
    root = require_root(config.root, LAYOUT)
    images = require_part(root, [f"leftImg8bit/{split}"], LAYOUT)
    photos = files_by_key(images, PHOTO)
    made = _panoptic_names(root, split)
    if config.truth == "panoptic" or (config.truth is None and made):
        return _from_panoptic(root, split, images, photos, made)
    return _from_instance_ids(root, split, images, photos)


def cityscapes_set_categories(config: CityscapesConfig) -> CategoryTable:
    """The 19 evaluated categories; no file is read."""
    del config
    return cityscapes_categories()


def files_by_key(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of the cities below a folder by `city_sequence_frame`, sorted; folders may be links.

    Raises:
        InputError: there is none, or two have one key.
    """
    found: dict[str, Path] = {}
    for path in files_below(folder, f"*{suffix}"):
        key = None if path.name.startswith(".") else image_key(path.name)
        if key is None:
            continue
        if key in found:
            raise InputError(f"{path}: the same photo as {found[key]}; expected each once")
        found[key] = path
    if not found:
        raise InputError(f"{folder}: no CITY/*{suffix} in it or below; found {folder_names(folder)}")
    return dict(sorted(found.items()))


def _panoptic_names(root: Path, split: str) -> list[str]:
    """The panoptic truths that were made: names of JSON and folder, that with label ids first."""
    names = [f"gtFine/cityscapes_panoptic_{split}{end}" for end in ("", "_trainId")]
    return [name for name in names if os.path.isfile(root / f"{name}.json") and os.path.isdir(root / name)]


def _from_panoptic(root: Path, split: str, images: Path, photos: dict[str, Path], made: list[str]) -> Dataset:
    name = made[0] if made else f"gtFine/cityscapes_panoptic_{split}"
    hint = "createPanopticImgs of cityscapesScripts makes them; data.truth=instance_ids needs none"
    annotations, panoptic = (require_part(root, [place], LAYOUT, hint) for place in (f"{name}.json", name))
    files = PanopticFiles(annotations, panoptic, images, lambda entry: photos.get(image_key(entry.file_name) or ""))
    dataset = read_official("cityscapes", split, cityscapes_categories(), files)
    listed = {record.image_path for record in dataset.records}
    lost = [photo.name for photo in photos.values() if photo not in listed]
    require_all(annotations, "photos", lost, len(photos), f"{images} holds")
    return replace(dataset, records=tuple(replace(r, extra=_extra(str(r.image_id))) for r in dataset.records))


def _from_instance_ids(root: Path, split: str, images: Path, photos: dict[str, Path]) -> Dataset:
    coarse = "gtCoarse has no instances of all objects and is not used" if os.path.isdir(root / "gtCoarse") else ""
    folder = require_part(root, [f"gtFine/{split}"], LAYOUT, coarse)
    truths = files_by_key(folder, TRUTH)
    _require_all_of(photos, truths, folder, "truths", f"the photos in {images} need")
    _require_all_of(truths, photos, images, "photos", f"{folder} is the truth of")
    contents = scan_maps([truths[key] for key in photos], read_grey_values, f"cityscapes {split}: instanceIds")
    records = map(_record, photos, photos.values(), (truths[key] for key in photos), contents)
    return Dataset("cityscapes", split, cityscapes_categories(), tuple(records))


def _require_all_of(wanted: dict[str, Path], found: dict[str, Path], folder: Path, what: str, origin: str) -> None:
    require_all(folder, what, [key for key in wanted if key not in found], len(wanted), origin)


def _record(key: str, photo: Path, truth: Path, contents: MapContents) -> ImageRecord:
    values = contents.values
    segments = value_rows(truth, values, contents.areas, True)
    inside = values[values != 0]
    return ImageRecord(
        image_path=photo,
        panoptic_path=truth,
        file_name=photo.name,
        image_id=key,
        height=contents.size[0],
        width=contents.size[1],
        segments=segments,
        extra=_extra(key),
        id_map=np.stack([inside, np.where(np.isin(inside, segments["id"]), inside, 0)], axis=1),
        storage=STORAGE,
    )


def _extra(key: str) -> dict[str, str]:
    return {"city": key.partition("_")[0]}
