"""Cityscapes as downloaded: `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`, `gtFine/SPLIT/CITY/*_gtFine_instanceIds.png`.

Source: the Cityscapes scripts, `preparation/createPanopticImgs.py`: the 19 evaluated categories under their label ids,
segment ids are the values of the PNG, and a thing without a number is a crowd.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tfpanoptic.data.cityscapes_ids import cityscapes_categories, read_instance_ids
from tfpanoptic.data.conversions.source import ConversionOptions, Scene, Source, require_folder
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.sets.cityscapes import PHOTO, TRUTH, files_by_key
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap


def open_cityscapes(source: Path, options: ConversionOptions) -> Source:
    """The images of one split; their ids are `city_sequence_frame`, and `city` is a column of theirs.

    Args:
        source: the folder with `leftImg8bit/` and `gtFine/`.
        options: `split`, "train", "val" or "test".

    Raises:
        InputError: no such folder, no split is named, or it has no truth or no photo.
    """
    truth_folder = require_folder(source / "gtFine", "the folder of Cityscapes, with leftImg8bit/ and gtFine/")
    photo_folder = require_folder(source / "leftImg8bit", "the folder of Cityscapes, with leftImg8bit/ and gtFine/")
    splits = sorted(path.name for path in truth_folder.iterdir() if path.is_dir())
    if options.split not in splits:
        found = "no --split" if options.split is None else f"--split {options.split}"
        raise InputError(f"{truth_folder}: has the splits {', '.join(splits) or '-'}; expected one, found {found}")
    truths, split_photos = files_by_key(truth_folder / options.split, TRUTH), photo_folder / options.split
    photos = files_by_key(split_photos, PHOTO) if split_photos.is_dir() else {}
    tally, scenes = Tally(), []
    for key, path in truths.items():
        city = key.partition("_")[0]
        photo = photos.get(key, split_photos / city / f"{key}{PHOTO}")
        scenes.append(Scene(photo.name, photo, {"id": key, "city": city}, partial(_read, path=path)))
    for key, photo in photos.items():
        if key not in truths:
            tally.add("no-truth", photo.name)
    return Source(cityscapes_categories(), scenes, tally, [source])


def _read(tally: Tally, path: Path) -> SegmentMap:
    return read_instance_ids(path, truth=True)
