"""A folder of JSONs of labelme, one a photo.

Shapes of one label and one `group_id` are one object. A shape with the flag `crowd` or `iscrowd` is a crowd; shapes of
the label `__ignore__` are void, those of `_background_` are no object.

Source: labelme, `label_file.py` and, for the two labels, `examples/instance_segmentation/labelme2voc.py`.
"""

from __future__ import annotations

import base64
import binascii
import reprlib
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import MAX_SIDE, parse_json
from tfpanoptic.data.conversions.category_file import read_category_file, table_of, with_isthing
from tfpanoptic.data.conversions.labelme_shapes import read_points, shape_mask
from tfpanoptic.data.conversions.painting import VOID, Layer, cut_out, paint
from tfpanoptic.data.conversions.source import ConversionOptions, Scene, Source, require_folder, safe_name
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import FolderListing, files_below
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.json_entry import COUNTED_IDS, integer, require_keys, text
from tfpanoptic.photo.image_file import open_image
from tfpanoptic.photo.pixels import upright_size
from tfpanoptic.segment_map import SegmentMap

IGNORED, BACKGROUND = "__ignore__", "_background_"
CROWD_FLAGS = ("crowd", "iscrowd")
SHAPE_KEYS = frozenset(("label", "points"))
PHOTO_KEYS = frozenset(("imagePath",))
# Kinds of shapes, and how many points each has at least.
FEWEST_POINTS = {"polygon": 3, "rectangle": 2, "circle": 2, "mask": 2, "oriented_rectangle": 3}


class Shape(NamedTuple):
    """A shape whose mask is not drawn yet."""

    label: str
    kind: str
    points: np.ndarray
    mask: str | None
    object: Hashable
    iscrowd: bool
    place: str


class LabelFile(NamedTuple):
    """One JSON: its name below the folder, its photo and what is drawn on it; size None where it does not say it."""

    path: Path
    name: str
    photo: Path | Callable[[], bytes]
    size: tuple[int, int] | None
    shapes: list[Shape]
    flags: dict[str, Any]


def open_labelme(source: Path, options: ConversionOptions) -> Source:
    """The photos of the JSONs in a folder and below it.

    Labels are the categories, in the order of their names unless `categories` lists them; things, unless `stuff` names
    them or the list says so.

    Args:
        source: the folder.
        options: see `CONVERSIONS`.

    Raises:
        InputError: no such folder, no JSON of labelme in it, or, told together, entries that are wrong.
    """
    require_folder(source, "a folder of labelme JSONs")
    tally, problems, listing = Tally(), Problems("in the JSONs"), FolderListing()
    files = []
    for path in files_below(source, "*.json"):
        with problems.noted():
            file = _label_file(path, source, options.images, listing, tally, problems)
            if file is not None:
                files.append(file)
    problems.check()
    if not files:
        raise InputError(f"{source}: no JSON of labelme in it or below; expected files with the list shapes")
    table, entries = _categories(files, source, options)
    ids = {**{c.name: c.id for c in table}, IGNORED: VOID}
    rest = ids[options.rest] if options.rest else 0
    scenes = []
    for number, file in enumerate(files, start=1):
        entry = {"id": number, **({"flags": file.flags} if file.flags else {})}
        overlap = options.overlap or "later"
        read = partial(_draw, file=file, table=table, ids=ids, overlap=overlap, rest=rest)
        scenes.append(Scene(file.name, file.photo, entry, read))
    folders = [source, *([options.images] if options.images else [])]
    return Source(table, scenes, tally, folders, entries, {"info": {"image_ids": COUNTED_IDS}})


def _categories(
    files: list[LabelFile], source: Path, options: ConversionOptions
) -> tuple[CategoryTable, list[dict[str, Any]]]:
    labels = sorted({shape.label for file in files for shape in file.shapes} - {IGNORED, BACKGROUND})
    if options.categories is None:
        origin = str(source)
        given: list[Any] = [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]
        if not given:
            raise InputError(f"{source}: no shape has a label; expected objects")
    else:
        origin = str(options.categories)
        given = read_category_file(options.categories)
        names = [entry.get("name") for entry in given if isinstance(entry, dict)]
        strange = [label for label in labels if label not in names]
        if strange:
            place = next(s.place for file in files for s in file.shapes if s.label == strange[0])
            raise InputError(f"{place}: label {strange[0]!r} is not in {origin}, which has {reprlib.repr(names)}")
    return table_of(with_isthing(given, options.stuff, origin, default=1), options.rest, origin)


def _label_file(
    path: Path, source: Path, images: Path | None, listing: FolderListing, tally: Tally, problems: Problems
) -> LabelFile | None:
    """The content of one JSON; None for a JSON of something else."""
    content = parse_json(path, "a labelme JSON")
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        tally.add("json-other", str(path.relative_to(source)))
        return None
    shapes = []
    for number, entry in enumerate(content["shapes"]):
        try:
            shape = _shape(entry, f"{path.relative_to(source)} shapes[{number}]", number, tally)
        except InputError as error:
            problems.add(f"{path}: shapes[{number}]: {error}")
            continue
        if shape is not None:
            shapes.append(shape)
    try:
        name, photo = _photo(content, path, source, images, listing)
        size = _size(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    flags = content.get("flags")
    return LabelFile(path, name, photo, size, shapes, flags if isinstance(flags, dict) else {})


def _size(content: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width), None where the JSON does not say it."""
    if content.get("imageHeight") is None or content.get("imageWidth") is None:
        return None
    return integer(content, "imageHeight", 1, MAX_SIDE), integer(content, "imageWidth", 1, MAX_SIDE)


def _shape(entry: Any, place: str, number: int, tally: Tally) -> Shape | None:
    """The shape; None for one without an area."""
    require_keys(entry, SHAPE_KEYS)
    label, kind = text(entry, "label"), entry.get("shape_type") or "polygon"
    points = read_points(entry["points"])
    if not isinstance(kind, str):
        raise InputError(f"shape_type must be a text, found {reprlib.repr(kind)}")
    fewest = FEWEST_POINTS.get(kind)
    if fewest is None:
        tally.add("shape-kind", f"{place}: {kind} ({label})")
        return None
    if len(points) < fewest:
        tally.add("few-points", f"{place}: {kind} of {len(points)} points ({label})")
        return None
    flags = entry.get("flags")
    given = [flag for flag, value in flags.items() if value] if isinstance(flags, dict) else []
    for flag in given:
        if flag not in CROWD_FLAGS:
            tally.add("flag-dropped", f"{place}: {flag}")
    group = entry.get("group_id")
    if not isinstance(group, int | str | float | None):
        raise InputError(f"group_id must be a number, a text or null, found {reprlib.repr(group)}")
    key = ("alone", number) if group is None else ("group", group)
    iscrowd = any(flag in CROWD_FLAGS for flag in given)
    return Shape(label, kind, points, entry.get("mask"), key, iscrowd, f"{place} ({label})")


def _photo(
    content: dict[str, Any], path: Path, source: Path, images: Path | None, listing: FolderListing
) -> tuple[str, Path | Callable[[], bytes]]:
    """The photo's name to write, and where it is: the file, or else what the JSON holds of it."""
    require_keys(content, PHOTO_KEYS)
    relative = text(content, "imagePath").replace("\\", "/")
    base = relative.rsplit("/", 1)[-1]
    places = [path.parent / relative, path.parent / base, *([images / relative, images / base] if images else [])]
    folder = path.parent.relative_to(source)
    for place in places:
        if listing.has(place):
            return safe_name(str(folder / base)), place
    if not content.get("imageData"):
        return safe_name(str(folder / base)), places[0]
    # Labelme stores a JPEG as one, anything else as PNG.
    suffix = Path(base).suffix if Path(base).suffix.lower() in (".jpg", ".jpeg") else ".png"
    return safe_name(str(folder / Path(base).with_suffix(suffix))), partial(_embedded, path)


def _embedded(path: Path) -> bytes:
    """The bytes of the photo that a JSON holds."""
    try:
        return base64.b64decode(parse_json(path, "a labelme JSON")["imageData"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise InputError(f"{path}: imageData is no base64 ({error}); expected the photo") from None


def _draw(
    tally: Tally, file: LabelFile, table: CategoryTable, ids: dict[str, int], overlap: str, rest: int
) -> SegmentMap:
    """The segment map of one photo."""
    size = file.size
    if size is None:
        if not isinstance(file.photo, Path):
            raise InputError(f"{file.path}: lacks imageHeight and imageWidth; expected both")
        with open_image(file.photo) as image:
            size = upright_size(image)
    layers = []
    for shape in file.shapes:
        if shape.label == BACKGROUND:
            continue
        try:
            mask = shape_mask(shape.kind, shape.points, shape.mask, size, shape.place, tally)
        except InputError as error:
            raise InputError(f"{file.path}: {shape.place}: {error}") from None
        cut = None if mask is None else cut_out(mask)
        if cut is not None:
            category = ids[shape.label]
            iscrowd = bool(shape.iscrowd and table.isthing[category])
            layers.append(Layer(*cut, category, iscrowd, (shape.object, iscrowd), shape.place))
        elif mask is not None:
            tally.add("no-pixels", shape.place)
    return paint(layers, size, table, overlap, tally, np.full(size, rest, np.int32))
