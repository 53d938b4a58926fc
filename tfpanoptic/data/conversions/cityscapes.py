"""Cityscapes as downloaded: `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`, `gtFine/SPLIT/CITY/*_gtFine_instanceIds.png`.

Source: the Cityscapes scripts, `preparation/createPanopticImgs.py`: the 19 evaluated categories under their label ids,
segment ids are the values of the PNG, and a thing without a number is a crowd.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tfpanoptic.data.cityscapes_ids import cityscapes_categories, image_key, read_instance_ids
from tfpanoptic.data.conversions.source import ConversionOptions, Scene, Source, require_folder
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import files_below
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap

PHOTO, TRUTH = "_leftImg8bit.png", "_gtFine_instanceIds.png"


def open_cityscapes(source: Path, options: ConversionOptions) -> Source:
    """The images of one split; their ids are `city_sequence_frame`, and `city` is a column of theirs.

    Args:
        source: the folder with `leftImg8bit/` and `gtFine/`.
        options: `split`, "train", "val" or "test".

    Raises:
        InputError: no such folder, no split is named, or it has no truth.
    """
    truth_folder = require_folder(source / "gtFine", "the folder of Cityscapes, with leftImg8bit/ and gtFine/")
    photo_folder = require_folder(source / "leftImg8bit", "the folder of Cityscapes, with leftImg8bit/ and gtFine/")
    splits = sorted(path.name for path in truth_folder.iterdir() if path.is_dir())
    if options.split not in splits:
        found = "no --split" if options.split is None else f"--split {options.split}"
        raise InputError(f"{truth_folder}: has the splits {', '.join(splits) or '-'}; expected one, found {found}")
    truths = files_below(truth_folder / options.split, f"*{TRUTH}")
    if not truths:
        raise InputError(f"{truth_folder / options.split}: no *{TRUTH} in it or below; expected the fine annotations")
    tally, scenes = Tally(), []
    for path in truths:
        name = path.name.removesuffix(TRUTH) + PHOTO
        key = image_key(path.name) or path.name.removesuffix(TRUTH)
        photo = photo_folder / options.split / path.parent.relative_to(truth_folder / options.split) / name
        scenes.append(Scene(name, photo, {"id": key, "city": path.name.split("_")[0]}, partial(_read, path=path)))
    names = {scene.file_name for scene in scenes}
    split_photos = photo_folder / options.split
    for path in files_below(split_photos, f"*{PHOTO}") if split_photos.is_dir() else ():
        if path.name not in names:
            tally.add("no-truth", path.name)
    return Source(cityscapes_categories(), scenes, tally, [source])


def _read(tally: Tally, path: Path) -> SegmentMap:
    return read_instance_ids(path, truth=True)
