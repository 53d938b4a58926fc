"""What a report shows of images evaluated as files: their photos, where a folder has them, truth and prediction."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfpanoptic.data.cityscapes_ids import image_key
from tfpanoptic.data.folder_listing import files_below
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.pairs.coco import FilePair, FileSet
from tfpanoptic.evaluation.rules import OFFICIAL, Rules
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.report.scenes import Scenes
from tfpanoptic.segment_map import SegmentMap


def scenes_of_files(files: FileSet, photos: Path | None, rules: Rules = OFFICIAL) -> Scenes:
    """Photo, truth and prediction of an image by its name; photos that do not fit are told on standard error.

    Args:
        files: the pairs.
        photos: folder of the photos; None for a report without them.
        rules: of the evaluation; truth and prediction are shown as they are counted.

    Raises:
        InputError: no such folder.
    """
    pairs = {pair.name: pair for pair in files.pairs}
    paths = {} if photos is None else find_photos(photos, files.pairs)
    without = [pair.photo_name for pair in files.pairs if pair.name not in paths]
    if photos is not None and without:
        print(f"{photos}: no photo of {len(without)} of {len(pairs)} images, first {without[0]}", file=sys.stderr)

    def scene(name: str) -> tuple[np.ndarray | None, SegmentMap, SegmentMap]:
        truth, prediction = rules.apply(*pairs[name].read(), files.categories)
        photo = _fitting_photo(paths[name], truth.shape) if name in paths else None
        return photo, truth, prediction

    return scene


def find_photos(folder: Path, pairs: Iterable[FilePair]) -> dict[str, Path]:
    """The photos of images, by the pairs' names: those of their file names in the folder, whatever the suffix, or, in
    the Cityscapes layout, anywhere below it.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the photos")
    names = {pair.name: pair.photo_name for pair in pairs}
    photos = {name: folder / own for name, own in names.items() if (folder / own).is_file()}
    keys = {name: image_key(f"{Path(own).stem}_") for name, own in names.items() if name not in photos}
    if any(keys.values()):
        below = {image_key(f"{path.stem}_"): path for path in files_below(folder, "*")}
        photos |= {name: below[key] for name, key in keys.items() if key is not None and key in below}
    return photos


def _fitting_photo(path: Path, size: tuple[int, ...]) -> np.ndarray | None:
    """The photo; None, said on standard error, for one that cannot be read or has another size than the truth."""
    try:
        photo = read_image(path)
    except InputError as error:
        print(f"{error}; shown without its photo", file=sys.stderr)
        return None
    if photo.shape[:2] != size:
        print(f"{path}: of another size than the truth; shown without its photo", file=sys.stderr)
        return None
    return photo
