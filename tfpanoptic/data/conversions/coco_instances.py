"""COCO instances, as `instances_val2017.json`: one mask an object; masks may overlap, and pixels may have none.

Source: https://cocodataset.org/#format-data ("Object Detection" and "Stuff Segmentation").
"""

from __future__ import annotations

import reprlib
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import IMAGE_KEYS, LISTS, image_id_of, parse_json, read_image_entries
from tfpanoptic.data.conversions.category_file import read_category_file, table_of, with_isthing
from tfpanoptic.data.conversions.coco_masks import coco_mask
from tfpanoptic.data.conversions.painting import Layer, cut_out, paint
from tfpanoptic.data.conversions.source import (
    ConversionOptions,
    Scene,
    Source,
    find_photo,
    require_folder,
    safe_name,
)
from tfpanoptic.data.conversions.stuff_maps import StuffMaps
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.json_entry import MAX_INT32, flag, integer, require_keys
from tfpanoptic.segment_map import SegmentMap

ANNOTATION_KEYS = frozenset(("image_id", "category_id"))
# Keys of the JSON that are written again.
KEPT = ("info", "licenses")


class Instance(NamedTuple):
    """An annotation whose mask is not drawn yet."""

    segmentation: Any
    category: int
    iscrowd: bool
    place: str


def open_coco_instances(source: Path, options: ConversionOptions) -> Source:
    """The images of an instances JSON.

    Objects are things, but for those whose category says `"isthing": 0` or that `stuff` names. Pixels without an object
    are what the stuff map says, then `rest`, then void.

    Args:
        source: the JSON, or a folder that has one and perhaps `images/`.
        options: see `CONVERSIONS`.

    Raises:
        InputError: no such file or folder, another kind of JSON, or, told together, entries that are wrong.
    """
    json_file = _json_of(source)
    content = _read(json_file)
    folder = _photos_of(source, json_file, options.images)
    table, entries = _categories(content["categories"], json_file, options)
    tally = Tally()
    problems = Problems("in the instances")
    images = list(read_image_entries(content["images"], problems.of(json_file)))
    instances = _instances(content["annotations"], images, table, json_file, not options.no_crowds, tally, problems)
    problems.check()
    if not images:
        raise InputError(f"{json_file}: expected at least one image, found none")
    if not any(instances.values()):
        raise InputError(f"{json_file}: no annotation of a listed image has a segmentation; expected masks")
    stuff_maps = StuffMaps.of(options, table, [image["file_name"] for image in images])
    rest = table.by_name()[options.rest].id if options.rest else 0
    listing = FolderListing()
    scenes = [
        Scene(
            safe_name(image["file_name"]),
            find_photo(image["file_name"], folder, listing),
            {key: value for key, value in image.items() if key not in IMAGE_KEYS or key == "id"},
            partial(
                _draw,
                origin=json_file,
                instances=instances.pop(image["id"], []),
                image=image,
                table=table,
                overlap=options.overlap or "smaller",
                stuff_maps=stuff_maps,
                rest=rest,
            ),
        )
        for image in images
    ]
    extra = {key: content[key] for key in KEPT if key in content}
    read = [json_file, folder, *(path for path in (options.stuff_maps, options.stuff_categories) if path)]
    return Source(table, scenes, tally, read, entries, extra)


def _json_of(source: Path) -> Path:
    """The JSON that a path means; in a folder as CVAT exports it, it lies in `annotations/`."""
    if not source.is_dir():
        return source
    found = sorted(source.glob("*.json")) or sorted(source.glob("annotations/*.json"))
    named = [path for path in found if path.name == "instances.json"]
    if len(named or found) != 1:
        names = ", ".join(path.name for path in found[:4]) or "none"
        raise InputError(f"{source}: expected one instances JSON in this folder, found {names}; give the file itself")
    return (named or found)[0]


def _photos_of(source: Path, json_file: Path, images: Path | None) -> Path:
    """The folder of the photos."""
    if images is not None:
        return require_folder(images, "the folder of the photos, --images")
    beside = (source if source.is_dir() else json_file.parent) / "images"
    if beside.is_dir():
        return beside
    if source.is_dir():
        return source
    raise InputError(f"{json_file}: no folder images beside it; expected the folder of the photos, --images DIR")


def _read(path: Path) -> dict[str, Any]:
    """The content, if it is an instances JSON."""
    content = parse_json(path, "a COCO instances JSON")
    if not isinstance(content, dict):
        found = "a list: results have no categories" if isinstance(content, list) else type(content).__name__
        raise InputError(f"{path}: expected a COCO instances JSON with the lists {', '.join(LISTS)}, found {found}")
    missing = [key for key in LISTS if not isinstance(content.get(key), list)]
    if missing:
        raise InputError(
            f"{path}: expected a COCO instances JSON with the lists {', '.join(LISTS)}; lacks {', '.join(missing)}"
        )
    if any(isinstance(entry, dict) and "segments_info" in entry for entry in content["annotations"]):
        raise InputError(
            f"{path}: a panoptic JSON (annotations have segments_info), which needs no conversion (coco-panoptic mends "
            "its areas); expected an instances JSON, whose annotations have a segmentation"
        )
    return content


def _categories(given: list[Any], path: Path, options: ConversionOptions) -> tuple[CategoryTable, list[dict[str, Any]]]:
    """The table of the file's categories, of the stuff maps' and of the rest; entries to write."""
    entries = with_isthing(given, options.stuff, str(path), default=1)
    if options.stuff_categories is not None:
        entries += _more_stuff(options.stuff_categories, entries, options.void)
    return table_of(entries, options.rest, str(path))


def _more_stuff(path: Path, entries: list[Any], void: tuple[int, ...]) -> list[dict[str, Any]]:
    """The categories of a file that are stuff, are not among the entries and are not void."""
    given = with_isthing(read_category_file(path), (), str(path), default=0)
    CategoryTable.from_coco(given, str(path))
    known = [(entry.get("id"), entry.get("name")) for entry in entries if isinstance(entry, dict)]
    new = [entry for entry in given if entry["id"] not in void and (entry["id"], entry["name"]) not in known]
    return [entry for entry in new if not flag(entry, "isthing")]


def _instances(
    annotations: list[Any],
    images: list[dict[str, Any]],
    table: CategoryTable,
    path: Path,
    crowds: bool,
    tally: Tally,
    problems: Problems,
) -> dict[int | str, list[Instance]]:
    """The instances of each image, in the file's order; what is wrong goes to `problems`."""
    names = {image["id"]: image["file_name"] for image in images}
    ids = {category.source_id: category.id for category in table}
    found: dict[int | str, list[Instance]] = defaultdict(list)
    unknown: dict[int, list[str]] = defaultdict(list)
    for number, entry in enumerate(annotations):
        place = f"annotations[{number}]"
        try:
            require_keys(entry, ANNOTATION_KEYS)
            image_id = image_id_of(entry, "image_id")
            category_id = integer(entry, "category_id", 0, MAX_INT32)
            iscrowd = entry.get("iscrowd") is not None and flag(entry, "iscrowd") and crowds
        except InputError as error:
            problems.add(f"{path}: {place}: {error}")
            continue
        if category_id not in ids:
            unknown[category_id].append(place)
            continue
        if image_id not in names:
            tally.add("no-image", f"{place}, image_id {image_id!r}")
            continue
        place = f"{names[image_id]} {place}"
        if not entry.get("segmentation"):
            tally.add("no-mask", f"{place}: no segmentation")
            continue
        category = table[ids[category_id]]
        found[image_id].append(
            Instance(entry["segmentation"], category.id, iscrowd and category.isthing, f"{place} ({category.name})")
        )
    for category_id, places in unknown.items():
        count = f" and {len(places) - 1} more" if len(places) > 1 else ""
        listed = f"not in categories {reprlib.repr(sorted(ids))}"
        problems.add(f"{path}: {places[0]}{count}: unknown category_id {category_id}, {listed}")
    objects = [instance for each in found.values() for instance in each]
    if sum(instance.iscrowd for instance in objects) * 2 > len(objects):
        tally.add("mostly-crowds", path.name)
    return found


def _draw(
    tally: Tally,
    origin: Path,
    instances: list[Instance],
    image: dict[str, Any],
    table: CategoryTable,
    overlap: str,
    stuff_maps: StuffMaps | None,
    rest: int,
) -> SegmentMap:
    """The segment map of one image."""
    size = image["height"], image["width"]
    layers = []
    for number, instance in enumerate(instances):
        try:
            mask = coco_mask(instance.segmentation, size, instance.place, tally)
        except InputError as error:
            raise InputError(f"{origin}: {instance.place}: {error}") from None
        cut = None if mask is None else cut_out(mask)
        if cut is None:
            tally.add("no-mask" if mask is None else "no-pixels", instance.place)
        else:
            layers.append(Layer(*cut, instance.category, instance.iscrowd, number, instance.place))
    background = np.zeros(size, np.int32) if stuff_maps is None else stuff_maps.read(image["file_name"], size, tally)
    background[background == 0] = rest
    return paint(layers, size, table, overlap, tally, background)
