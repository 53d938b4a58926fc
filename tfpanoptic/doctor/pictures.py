"""Pictures of the images that findings are about: the photo, and its truth drawn over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfpanoptic.atomic import new_folder
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import image_content, truth_contents
from tfpanoptic.doctor.check import BOTH, read_contents
from tfpanoptic.doctor.contents import Contents
from tfpanoptic.doctor.findings import Findings
from tfpanoptic.doctor.kinds import KINDS
from tfpanoptic.doctor.sources import Source
from tfpanoptic.doctor.truth_file import Case
from tfpanoptic.errors import InputError
from tfpanoptic.photo.image_file import open_image
from tfpanoptic.photo.pixels import image_pixels
from tfpanoptic.segment_map import SegmentMap, relabel
from tfpanoptic.visualize.overlay import draw_overlay, enlargement

# What a folder of pictures may hold: one folder a kind of finding.
CONTENTS = tuple(KINDS)
# Pictures of each finding of a split, and their longest side. Own choices.
MOST_PICTURES = 3
LONGEST_SIDE = 1600


def write_pictures(
    sources: Mapping[str, Source], findings: Sequence[dict[str, Any]], folder: Path, overwrite: bool = False
) -> int:
    """Writes `folder/CODE/SPLIT_NUMBER_NAME.png` for the first images of each finding, and returns how many.

    An image is left out where neither its photo nor its truth can be read.

    Args:
        sources: the splits that were checked.
        findings: of `check.check`.
        folder: where to.
        overwrite: replace older pictures.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    wanted = [(_split_of(found), found) for found in findings if found["images"]]
    count = 0
    with new_folder(folder, CONTENTS, overwrite) as place:
        for split in dict.fromkeys(split for split, _ in wanted):
            contents = read_contents(sources[split], Findings())
            if contents is None or not contents.categories:
                continue
            cases = {case.record.file_name: case for case in contents.cases}
            for code, images in [(found["code"], found["images"]) for own, found in wanted if own == split]:
                for number, name in enumerate(images[:MOST_PICTURES], start=1):
                    picture = _picture(cases[name], contents) if name in cases else None
                    if picture is None:
                        continue
                    (place / code).mkdir(exist_ok=True)
                    stem = Path(name.replace("\\", "/")).stem[:100]
                    picture.save(place / code / f"{split}_{number}_{stem}.png")
                    count += 1
    return count


def _split_of(finding: dict[str, Any]) -> str:
    return "val" if finding["split"] == BOTH else finding["split"]


def _picture(case: Case, contents: Contents) -> Image.Image | None:
    """The photo, with its truth beside it where that can be read, and drawn over it where they have one size."""
    photo, truth = _photo(case), _truth(case)
    parts = []
    if photo is not None:
        scale = enlargement(*photo.shape[:2])  # as the overlay has it
        parts.append(Image.fromarray(photo).resize((scale * photo.shape[1], scale * photo.shape[0])))
    if truth is not None:
        under = photo if photo is not None and photo.shape[:2] == truth.shape else None
        parts.append(Image.fromarray(draw_overlay(under, truth, CategoryTable(contents.categories))))
    if not parts:
        return None
    for part in parts:
        part.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    beside = Image.new("RGB", (sum(part.width for part in parts), max(part.height for part in parts)), "white")
    left = 0
    for part in parts:
        beside.paste(part, (left, 0))
        left += part.width
    return beside


def _photo(case: Case) -> np.ndarray | None:
    try:
        with open_image(image_content(case.record), case.record.image_name) as image:
            return image_pixels(image, case.record.image_name, "file_range")
    except (InputError, OSError):
        return None


def _truth(case: Case) -> SegmentMap | None:
    """The segments that the annotation lists; all other ids are void."""
    record = case.record
    try:
        ids = record.storage.truth.read(truth_contents(record), (record.height, record.width), record.panoptic_name)
    except (InputError, OSError):
        return None
    own = record.segments["id"]
    old, new = (own, own) if record.id_map is None else record.id_map.T
    return SegmentMap(relabel(ids, old, new), record.segments)
