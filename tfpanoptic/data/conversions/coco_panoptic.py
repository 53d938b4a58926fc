"""COCO panoptic format written anew: one folder, with the areas and boxes of the pixels whatever the JSON says.

Source: https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from tfpanoptic.data.coco_json import ImageEntry, lists_of, parse_json, read_images
from tfpanoptic.data.conversions.category_file import table_of, with_isthing
from tfpanoptic.data.conversions.coco_instances import KEPT
from tfpanoptic.data.conversions.source import (
    ConversionOptions,
    Scene,
    Source,
    find_photo,
    require_folder,
    safe_name,
)
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.data.segment_png import read_segment_ids, require_same_ids
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.segment_map import SegmentMap, extents

# Codes of `data.coco_json` of what is no reason to stop, and what it counts as; None for areas, which are compared
# with the pixels later on.
PASSED = {"area-differs": None, "annotation-without-image": "no-image", "image-without-annotation": "no-truth"}


def open_coco_panoptic(source: Path, options: ConversionOptions) -> Source:
    """The images of a panoptic JSON.

    Args:
        source: the JSON, beside the folder `panoptic` or one of its own name; or the folder with `panoptic.json`.
        options: `images`, `panoptic`, `stuff`.

    Raises:
        InputError: no such file or folder, another kind of JSON, or, told together, entries that are wrong.
    """
    json_file = source / "panoptic.json" if source.is_dir() else source
    tally, problems = Tally(), Problems("in the JSON")

    def sink(code: str, message: str) -> None:
        passed = PASSED.get(code, "")
        if passed:
            tally.add(passed, message)
        elif passed is not None:
            problems.add(f"{json_file}: {message}")

    content = parse_json(json_file)
    lists = lists_of(content, sink)
    problems.check()
    beside = json_file.parent / "images"
    folder = require_folder(options.images or beside, "the folder of the photos, --images")
    places = [json_file.with_suffix(""), json_file.parent / "panoptic"]
    found = options.panoptic or next((place for place in places if place.is_dir()), places[-1])
    pngs = require_folder(found, "the folder of the PNGs, --panoptic")
    given = with_isthing(lists["categories"], options.stuff, str(json_file))
    table, entries = table_of(given, None, str(json_file))
    images = list(read_images(lists, {category.source_id: category.id for category in table}, sink))
    problems.check()
    if not images:
        raise InputError(f"{json_file}: expected at least one image, found none")
    listing = FolderListing()
    scenes = [
        Scene(
            safe_name(image.file_name),
            find_photo(image.file_name, folder, listing),
            {"id": image.image_id, **image.extra},
            partial(_read, path=pngs / image.png_name, image=image),
        )
        for image in images
    ]
    extra = {key: content[key] for key in KEPT if key in content}
    return Source(table, scenes, tally, [json_file, folder, pngs], entries, extra)


def _read(tally: Tally, path: Path, image: ImageEntry) -> SegmentMap:
    """The segment map of one image, whose areas are corrected by the writer."""
    ids = read_segment_ids(path)
    found = extents(ids)
    require_same_ids(path, found.ids.tolist(), image.segments["id"], f"the annotation of {image.file_name}")
    wrong = np.count_nonzero(found.of(image.segments["id"]).areas != image.segments["area"])
    if wrong:
        tally.add("area", f"{image.png_name}: {wrong} segments", int(wrong))
    return SegmentMap(ids, image.segments)
