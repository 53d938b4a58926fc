"""The entries of a COCO panoptic JSON, checked: images, annotations, tables of segments.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import MAX_INT32, flag, integer, require_keys, text
from tfpanoptic.segment_map import segment_rows

IMAGE_KEYS = frozenset(("id", "file_name", "height", "width"))
ANNOTATION_KEYS = frozenset(("image_id", "file_name", "segments_info"))
PREDICTED_KEYS = frozenset(("id", "category_id"))
TRUE_KEYS = PREDICTED_KEYS | {"area"}
# What three bytes of a PNG pixel can hold.
MAX_SEGMENT_ID = (1 << 24) - 1
# Longest side of a PNG. Source: PNG specification, section 11.2.1 (IHDR).
MAX_SIDE = (1 << 31) - 1
MAX_INT64 = (1 << 63) - 1
# More pixels than this Pillow refuses to decode, twice its `MAX_IMAGE_PIXELS`.
MAX_PIXELS = 178_956_970
MAX_FLOAT32 = float(np.finfo(np.float32).max)


def read_coco_json(path: Path) -> dict[str, Any]:
    """The JSON, with its three lists present."""
    content = parse_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{path}: expected a COCO panoptic JSON with the lists images, annotations and categories")
    return content


def parse_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: it is missing, cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a COCO panoptic JSON") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def checked_images(entries: list[Any], origin: Path) -> Iterator[dict[str, Any]]:
    """The `images` list, checked; sides and ids as integers."""
    ids: set[int | str] = set()
    names: set[str] = set()
    for number, entry in enumerate(entries):
        try:
            require_keys(entry, IMAGE_KEYS)
            file_name, image_id = text(entry, "file_name"), image_id_of(entry, "id")
            sides = {key: integer(entry, key, 1, MAX_SIDE) for key in ("height", "width")}
            if sides["height"] * sides["width"] > MAX_PIXELS:
                raise InputError(f"{sides['height']} x {sides['width']} pixels, expected at most {MAX_PIXELS} in all")
            if file_name in names:
                raise InputError(f"file_name {file_name} used twice")
            if image_id in ids:
                raise InputError(f"id {image_id!r} used twice")
        except InputError as error:
            raise InputError(f"{origin}: images[{number}]{_named(entry)}: {error}") from None
        names.add(file_name)
        ids.add(image_id)
        yield {**entry, **sides, "id": image_id}


def annotations_by_image(entries: list[Any], origin: Path) -> dict[int | str, dict[str, Any]]:
    """The `annotations` list keyed by image id, checked but for the segments."""
    annotations: dict[int | str, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        image_id = annotation_image_id(entry, f"{origin}: annotations[{number}]")
        if image_id in annotations:
            raise InputError(f"{origin}: annotations[{number}]{_named(entry)}: image_id {image_id!r} used twice")
        annotations[image_id] = entry
    return annotations


def annotation_image_id(entry: Any, place: str) -> int | str:
    """The image id of one entry of `annotations`, which is checked but for its segments.

    Raises:
        InputError: it is no annotation of a panoptic JSON; `place` is in the message.
    """
    if isinstance(entry, dict) and "segments_info" not in entry and ("segmentation" in entry or "bbox" in entry):
        raise InputError(f"{place}: of an instances JSON (no segments_info); expected a panoptic one")
    try:
        require_keys(entry, ANNOTATION_KEYS)
        text(entry, "file_name")
        if not isinstance(entry["segments_info"], list):
            raise InputError(f"segments_info must be a list, found {reprlib.repr(entry['segments_info'])}")
        return image_id_of(entry, "image_id")
    except InputError as error:
        raise InputError(f"{place}{_named(entry)}: {error}") from None


def true_segments(annotation: dict[str, Any], category_ids: dict[int, int], pixels: int, origin: Path) -> np.ndarray:
    """Segment table of one annotation of the truth, with our category ids.

    Args:
        annotation: an entry of `annotations` that `annotation_image_id` accepted.
        category_ids: the file's category id -> ours.
        pixels: of the image; no segment is larger.
        origin: the JSON, for messages.

    Raises:
        InputError: a key is missing, a value is out of range, an id is used twice, or a category is unknown.
    """
    crowds, areas = [], []

    def read(segment: dict[str, Any]) -> None:
        crowds.append("iscrowd" in segment and flag(segment, "iscrowd"))
        areas.append(integer(segment, "area", 0, pixels))

    ids, categories = _segments(annotation, TRUE_KEYS, category_ids, read, origin)
    return segment_rows(ids, categories, crowds, areas)


def predicted_segments(annotation: dict[str, Any], category_ids: dict[int, int], origin: Path) -> np.ndarray:
    """Segment table of one annotation of a prediction: areas are left 0, for the PNG says them; a score is optional.

    Args and errors are those of `true_segments`.
    """
    scores = []

    def read(segment: dict[str, Any]) -> None:
        score = segment.get("score", 1.0)
        if type(score) not in (int, float) or not abs(score) <= MAX_FLOAT32:
            raise InputError(f"score must be a finite number, found {reprlib.repr(score)}")
        scores.append(score)

    ids, categories = _segments(annotation, PREDICTED_KEYS, category_ids, read, origin)
    return segment_rows(ids, categories, scores=scores)


def _segments(annotation, keys, category_ids, read, origin) -> tuple[list[int], list[int]]:
    """Ids and our categories of an annotation's segments; `read` takes what else an entry holds."""
    ids: dict[int, int] = {}  # in order
    for number, segment in enumerate(annotation["segments_info"]):
        try:
            require_keys(segment, keys)
            segment_id = integer(segment, "id", 1, MAX_SEGMENT_ID)
            if segment_id in ids:
                raise InputError(f"id {segment_id} used twice")
            category_id = integer(segment, "category_id", 0, MAX_INT32)
            if category_id not in category_ids:
                known = reprlib.repr(sorted(category_ids))
                raise InputError(f"unknown category_id {category_id}, not in categories, which have {known}")
            read(segment)
            ids[segment_id] = category_ids[category_id]
        except InputError as error:
            where = f"annotation {annotation['file_name']}, segments_info[{number}]"
            raise InputError(f"{origin}: {where}: {error}") from None
    return list(ids), list(ids.values())


def _named(entry: Any) -> str:
    """The entry's file name in brackets, for messages; nothing where it has none."""
    name = entry.get("file_name") if isinstance(entry, dict) else None
    return f" ({reprlib.repr(name)})" if isinstance(name, str) else ""


def image_id_of(entry: dict[str, Any], key: str) -> int | str:
    """An image's id: an integer, as in COCO, or a text, as in Cityscapes."""
    if isinstance(entry[key], str):
        return text(entry, key)
    if type(entry[key]) not in (int, float):
        raise InputError(f"{key} must be an integer or a text, found {reprlib.repr(entry[key])}")
    return integer(entry, key, -MAX_INT64 - 1, MAX_INT64)
