"""Instances of files that are no panoptic images: results and truth of COCO, results of Cityscapes.

Their masks may overlap. `mask_ap` and `cityscapes_ap` measure them.

Source: the formats of https://cocodataset.org/#format-results and #format-data ("Object Detection"), and the
comment at the top of cityscapesScripts' `evaluation/evalInstanceLevelSemanticLabeling.py`.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.cityscapes_ids import image_key
from tfpanoptic.data.coco_json import MAX_INT64, MAX_SIDE, image_id_of, parse_json
from tfpanoptic.data.folder_listing import files_below
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.json_entry import MAX_INT32, finite_number, flag, integer, require_keys, text
from tfpanoptic.photo.image_file import load_pixels, open_image
from tfpanoptic.rle import checked_rle

RESULT_KEYS = frozenset(("image_id", "category_id", "segmentation", "score"))
TRUTH_KEYS = frozenset(("id", "image_id", "category_id", "segmentation", "area"))
# Things of Cityscapes that are never evaluated, caravan and trailer; the official tool passes over their predictions.
IGNORED_LABELS = (29, 30)
# Pillow modes of 8 bits; the official tool makes grey of them.
MASK_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
ImageId = int | str


def read_coco_results(
    path: str | Path,
    images: Mapping[ImageId, tuple[int, int]],
    categories: CategoryTable,
    beyond: set[ImageId] | None = None,
) -> dict[ImageId, list[dict[str, Any]]]:
    """The detections of a COCO results JSON for each image, in the file's order.

    Args:
        path: the JSON: a list of objects with `image_id`, `category_id`, `segmentation` and `score`.
        images: id -> (height, width) of all images that are evaluated.
        categories: the file's category ids are their source ids.
        beyond: gets the ids of other images, whose detections are passed over; None to refuse them.

    Returns:
        id -> dicts with `category` (our id), `segmentation` (compressed RLE) and `score`; every id of `images` is
        there.

    Raises:
        InputError: no such file, another kind of JSON, an image or category that is not known or is stuff, a score
            that is missing or not finite, or a segmentation that does not fit its image.
    """
    path = Path(path)
    content = _read(path, "a COCO results JSON, a list of detections")
    if not isinstance(content, list):
        raise InputError(f"{path}: expected a COCO results JSON, a list of detections, found {_kind(content)}")
    things = _things(categories)
    found: dict[ImageId, list[dict[str, Any]]] = {image: [] for image in images}
    problems = Problems("in the instances")
    for place, entry in enumerate(content):
        try:
            require_keys(entry, RESULT_KEYS)
            image_id = image_id_of(entry, "image_id")
            if image_id not in images and beyond is not None:
                beyond.add(image_id)
                continue
            if image_id not in images:
                raise InputError(f"unknown image_id {image_id!r}, not in images; --subset passes over it")
            instance = {
                "category": _known_category(entry, things).id,
                "segmentation": checked_rle(entry["segmentation"], images[image_id]),
                "score": finite_number(entry, "score"),
            }
        except InputError as error:
            problems.add(f"{path}: [{place}]: {error}{_hint(entry)}")
            continue
        found[image_id].append(instance)
    problems.check()
    return found


def read_coco_instances(
    path: str | Path, images: Mapping[ImageId, tuple[int, int]], categories: CategoryTable
) -> dict[ImageId, list[dict[str, Any]]]:
    """The true instances of a COCO instances JSON, as `instances_val2017.json`, for each image, in the file's order.

    Args:
        path: the JSON, with the lists `images`, `annotations` and `categories`; polygons or RLE.
        images: id -> (height, width) of all images that are evaluated; others of the file are left out.
        categories: those of the file are matched to them by source id, and their names compared.

    Returns:
        id -> dicts with `category` (our id), `segmentation` (compressed RLE), `iscrowd` and `area` (the file's, which
        says what is small); every id of `images` is there.

    Raises:
        InputError: no such file, another kind of JSON, an image that it lacks or has in another size, a category that
            is not known, is stuff or has another name, or an annotation that is no instance or does not fit its image.
    """
    path = Path(path)
    content = _read(path, "a COCO instances JSON")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            expected = "a COCO instances JSON with the lists images, annotations and categories"
            raise InputError(f"{path}: expected {expected}, found {_kind(content)}")
    given = _given_images(path, content["images"], images)
    things = _named_things(path, content["categories"], categories)
    found: dict[ImageId, list[dict[str, Any]]] = {image: [] for image in images}
    ids: set[int] = set()
    problems = Problems("in the instances")
    for place, entry in enumerate(content["annotations"]):
        try:
            require_keys(entry, TRUTH_KEYS)
            annotation_id = integer(entry, "id", -MAX_INT64 - 1, MAX_INT64)
            if annotation_id in ids:
                raise InputError(f"id {annotation_id} used twice")
            ids.add(annotation_id)
            image_id = _known_image(entry, given)
            if image_id not in images:
                continue
            instance = {
                "category": _known_category(entry, things).id,
                "segmentation": checked_rle(entry["segmentation"], images[image_id]),
                "iscrowd": "iscrowd" in entry and flag(entry, "iscrowd"),
                "area": finite_number(entry, "area", low=0),
            }
        except InputError as error:
            problems.add(f"{path}: annotations[{place}]: {error}{_hint(entry)}")
            continue
        found[image_id].append(instance)
    problems.check()
    return found


def find_cityscapes_results(folder: str | Path, file_names: Iterable[str]) -> dict[str, Path]:
    """The text file of results of each image, anywhere below a folder; an image without one is not among them.

    Args:
        folder: of the results.
        file_names: of the images or of their truth, `city_sequence_frame_*`; text files start the same.

    Raises:
        InputError: no such folder, a name of another form, or two text files for one image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected Cityscapes results, a text file an image")
    by_key: dict[str | None, list[Path]] = {}
    for path in files_below(folder, "*.txt"):
        by_key.setdefault(image_key(f"{path.stem}_"), []).append(path)
    found = {}
    for name in file_names:
        key = image_key(f"{Path(name).stem}_")
        if key is None:
            raise InputError(
                f"{folder}: Cityscapes results are for images named city_sequence_frame_*, found {name}; "
                "results in COCO format are a JSON, no folder"
            )
        paths = by_key.get(key, [])
        if len(paths) > 1:
            raise InputError(f"{paths[0]} and {paths[1]} both hold results of {name}; expected one")
        if paths:
            found[name] = paths[0]
    return found


def listed_masks(path: Path) -> list[Path]:
    """The masks that a text file of results lists and that exist; nothing of it is checked."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    masks = (path.parent / line.split()[0] for line in lines if line.strip())
    return [mask for mask in masks if os.path.isfile(mask)]  # of any name


def read_cityscapes_results(
    path: str | Path, folder: str | Path, size: tuple[int, int], categories: CategoryTable
) -> Iterator[tuple[int, float, np.ndarray]]:
    """(category id, score, bool mask `[H, W]`) of each instance of one image's results, one at a time.

    Args:
        path: the text file: lines "mask.png label score", the mask's path relative to the file, the label as in
            Cityscapes, 24 for a person. Any pixel of the mask that is not black counts.
        folder: of all results; masks outside of it are refused.
        size: (height, width) of the image.
        categories: labels are their source ids.

    Raises:
        InputError: a file is missing or damaged, a line has another form, a mask is listed twice, lies elsewhere or
            has another size or pixel format, a label is of no thing, or a score is not finite.
    """
    path, folder, things = Path(path), Path(os.path.abspath(folder)), _things(categories)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    seen: set[Path] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, label, score = _fields(line)
            mask_path = Path(os.path.abspath(path.parent / name))
            if Path(name).is_absolute() or not mask_path.is_relative_to(folder):
                raise InputError(f"mask {name} must be a relative path to a file in {folder}")
            if mask_path in seen:
                raise InputError(f"mask {name} is listed twice; the official tool would keep the last line alone")
            seen.add(mask_path)
            if label in IGNORED_LABELS:
                continue
            category = _known_category({"label": label}, things, "label")
            mask = _read_mask(mask_path, size)
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        yield category.id, score, mask


def _read(path: Path, expected: str) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}")
    return parse_json(path)


def _things(categories: CategoryTable) -> dict[int, Category]:
    return {c.source_id: c for c in categories if c.isthing}


def _known_image(entry: dict[str, Any], images: Mapping[ImageId, Any]) -> ImageId:
    """The image of an entry, an integer as in COCO or a text."""
    image_id = image_id_of(entry, "image_id")
    if image_id not in images:
        raise InputError(f"unknown image_id {image_id!r}, not in images")
    return image_id


def _known_category(entry: dict[str, Any], things: dict[int, Category], key: str = "category_id") -> Category:
    source_id = integer(entry, key, 0, MAX_INT32)
    if source_id not in things:
        raise InputError(f"{key} {source_id} is of no thing; things have {reprlib.repr(sorted(things))}")
    return things[source_id]


def _kind(content: Any) -> str:
    """What a JSON is, as far as its outermost value says."""
    if isinstance(content, list):
        return "a list, as COCO results are"
    if not isinstance(content, dict):
        return reprlib.repr(content)
    annotations = content.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    if isinstance(first, dict) and "segments_info" in first:
        return "a panoptic JSON"
    return f"an object with {', '.join(sorted(content)[:5]) or 'nothing'}"


def _hint(entry: Any) -> str:
    """Which other file this could be, for messages."""
    if not isinstance(entry, dict):
        return ""
    if "segments_info" in entry:
        return "; is this a panoptic JSON?"
    return "; is this for boxes?" if "bbox" in entry and "segmentation" not in entry else ""


def _given_images(
    path: Path, entries: list[Any], images: Mapping[ImageId, tuple[int, int]]
) -> dict[ImageId, tuple[int, int]]:
    """The sizes of the `images` list, compared with those of the images that are evaluated."""
    given: dict[ImageId, tuple[int, int]] = {}
    for place, entry in enumerate(entries):
        try:
            require_keys(entry, frozenset(("id", "height", "width")))
            image_id = image_id_of(entry, "id")
            size = (integer(entry, "height", 1, MAX_SIDE), integer(entry, "width", 1, MAX_SIDE))
            if image_id in given:
                raise InputError(f"id {image_id!r} used twice")
            if images.get(image_id, size) != size:
                found, known = ("x".join(map(str, sides)) for sides in (size, images[image_id]))
                raise InputError(f"image {image_id!r} is {found} (height x width), its panoptic truth is {known}")
        except InputError as error:
            raise InputError(f"{path}: images[{place}]: {error}") from None
        given[image_id] = size
    absent = [image_id for image_id in images if image_id not in given]
    if absent:
        raise InputError(f"{path}: lacks {len(absent)} of {len(images)} images, the first has id {absent[0]!r}")
    return given


def _named_things(path: Path, entries: list[Any], categories: CategoryTable) -> dict[int, Category]:
    """The things of the `categories` list that are ours, by source id, with the same names."""
    things, given = _things(categories), {}
    for place, entry in enumerate(entries):
        try:
            require_keys(entry, frozenset(("id", "name")))
            source_id, name = integer(entry, "id", 0, MAX_INT32), text(entry, "name")
            # Of one name for several categories, `evaluated_categories` makes names with the ids beside it.
            if source_id in things and things[source_id].name not in (name, f"{name} ({source_id})"):
                raise InputError(f"category {source_id} is {name}, in the panoptic truth {things[source_id].name}")
        except InputError as error:
            raise InputError(f"{path}: categories[{place}]: {error}") from None
        if source_id in things:
            given[source_id] = things[source_id]
    return given


def _fields(line: str) -> tuple[str, int, float]:
    """Mask, label and score of a line of Cityscapes results."""
    fields = line.split()
    if len(fields) != 3:
        raise InputError(f'expected "mask.png label score", found {reprlib.repr(line)}')
    try:
        label, score = float(fields[1]), float(fields[2])
    except ValueError:
        raise InputError(f"expected numbers for label and score, found {reprlib.repr(fields[1:])}") from None
    if not label.is_integer():
        raise InputError(f"label must be an integer, found {fields[1]}")
    if not math.isfinite(score):
        raise InputError(f"score must be a finite number, found {fields[2]}")
    return fields[0], int(label), score


def _read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a mask that are not black, bool `[H, W]`."""
    with open_image(path) as image:
        if image.mode not in MASK_MODES:
            raise InputError(f"{path}: expected a mask of 8 bits, found Pillow mode {image.mode}")
        if (image.height, image.width) != size:
            raise InputError(f"{path}: the mask is {image.height}x{image.width} (height x width), its image {size}")
        load_pixels(image, str(path))
        return np.asarray(image.convert("L")) != 0
