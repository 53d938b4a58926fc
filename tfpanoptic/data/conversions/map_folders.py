"""Folders of maps beside a folder of photos, which belong together by their names without the endings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.conversions.category_file import read_category_file, table_of, with_isthing
from tfpanoptic.data.conversions.source import ConversionOptions, Scene, Source, require_folder
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import IMAGE_SUFFIXES
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.json_entry import COUNTED_IDS
from tfpanoptic.segment_map import SegmentMap, extents, segment_rows


def map_categories(options: ConversionOptions) -> tuple[CategoryTable, list[dict[str, Any]]]:
    """The categories that the options name, without those that are void; entries to write.

    Raises:
        InputError: no file of categories, or a wrong one.
    """
    path = options.categories
    if path is None:
        raise InputError("--categories: expected a JSON list of id, name and isthing, or a .yaml")
    entries = with_isthing(read_category_file(path), options.stuff, str(path))
    kept = [entry for entry in entries if not (isinstance(entry, dict) and entry.get("id") in options.void)]
    return table_of(kept, options.rest, str(path))


def with_photos(
    maps: Mapping[str, Callable[[Tally], SegmentMap]],
    source: Path,
    options: ConversionOptions,
    table: CategoryTable,
    entries: list[dict[str, Any]],
    problems: Problems,
) -> Source:
    """The set of maps by name and of their photos, in the order of the names.

    Args:
        maps: name without ending -> what reads its truth.
        source: the folder of the maps; photos are in its `images/` unless the options name another folder.
        options: of the conversion.
        table: of the truth.
        entries: the list `categories`.
        problems: gets two photos of one name.

    Raises:
        InputError: no folder of photos, or problems.
    """
    folder = require_folder(options.images or source / "images", "the folder of the photos, --images")
    photos: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES):
        if path.stem in photos and path.stem in maps:
            problems.add(f"{path}: a second photo of this name, after {photos[path.stem].name}")
        photos.setdefault(path.stem, path)
    problems.check()
    tally = Tally()
    for name, path in photos.items():
        if name not in maps:
            tally.add("no-truth", path.name)
    scenes = []
    for number, (name, read) in enumerate(sorted(maps.items()), start=1):
        photo = photos.get(name, folder / f"{name}.jpg")
        rest = table.by_name()[options.rest].id if options.rest else 0
        scenes.append(Scene(photo.name, photo, {"id": number}, _with_rest(read, rest)))
    return Source(table, scenes, tally, [source, folder], entries, {"info": {"image_ids": COUNTED_IDS}})


def _with_rest(read: Callable[[Tally], SegmentMap], rest: int) -> Callable[[Tally], SegmentMap]:
    """The reader with void given to a category of stuff, 0 for none."""
    if not rest:
        return read

    def filled(tally: Tally) -> SegmentMap:
        return _filled(read(tally), rest)

    return filled


def _filled(truth: SegmentMap, rest: int) -> SegmentMap:
    """The map with its void given to the category `rest`, which may have a segment already."""
    own = truth.segments[truth.segments["category"] == rest]
    number = int(own["id"][0]) if len(own) else int(truth.segments["id"].max(initial=0)) + 1
    ids = np.where(truth.ids == 0, number, truth.ids).astype(np.int32)
    areas = extents(ids)
    rows = truth.segments.copy() if len(own) else np.append(truth.segments, segment_rows([number], [rest]))
    rows["area"] = areas.of(rows["id"]).areas
    return SegmentMap(ids, rows[rows["area"] > 0])
