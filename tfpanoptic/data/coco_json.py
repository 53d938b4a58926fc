"""A COCO panoptic JSON, walked once and checked: its lists, its images with their annotations, their segments.

What is wrong goes to a sink (`errors.Sink`) under one of the codes of `doctor.kinds`, and the walk goes on past it;
what can be used comes back. The dataset's sink raises the first problem, the evaluation's collects all of them, the
doctor's counts them. Categories are read by `categories.read_coco_categories` in the same way.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.errors import InputError, Sink
from tfpanoptic.json_entry import MAX_INT32, finite_number, flag, integer, require_keys, text
from tfpanoptic.segment_map import SEGMENT

LISTS = ("images", "annotations", "categories")
IMAGE_KEYS = frozenset(("id", "file_name", "height", "width"))
ANNOTATION_KEYS = frozenset(("image_id", "file_name", "segments_info"))
PREDICTED_KEYS = frozenset(("id", "category_id"))
TRUE_KEYS = PREDICTED_KEYS | {"area"}
# What three bytes of a PNG pixel can hold.
MAX_SEGMENT_ID = (1 << 24) - 1
# Longest side of a PNG. Source: PNG specification, section 11.2.1 (IHDR).
MAX_SIDE = (1 << 31) - 1
MAX_INT64 = (1 << 63) - 1
MAX_FLOAT32 = float(np.finfo(np.float32).max)
# More pixels than this Pillow refuses to decode, twice its `MAX_IMAGE_PIXELS`.
MAX_PIXELS = 178_956_970


@dataclass(frozen=True, eq=False)
class ImageEntry:
    """One image of the JSON with its annotation.

    Attributes:
        file_name: of the photo.
        png_name: of the truth.
        image_id: the file's own id.
        height, width: in pixels.
        segments: those that can be used, structured array `[N]` of dtype `SEGMENT` with our category ids.
        boxes: the file's `bbox` of each of them, unchecked; None where it has none.
        complete: whether all segments of the annotation can be used.
        extra: what else the file says of the image.
    """

    file_name: str
    png_name: str
    image_id: int | str
    height: int
    width: int
    segments: np.ndarray
    boxes: list[Any]
    complete: bool
    extra: dict[str, Any]


def parse_json(path: Path, expected: str = "a COCO panoptic JSON") -> Any:
    """What a JSON file holds.

    Args:
        path: the file.
        expected: what should be there, for the message.

    Raises:
        InputError: it is missing, cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {expected}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def read_lists(path: Path, sink: Sink) -> dict[str, list[Any]]:
    """The lists `images`, `annotations` and `categories` of a panoptic JSON; without an entry where it is no such file.

    Args:
        path: the JSON.
        sink: gets "json-unreadable", "json-instances" or "json-other".
    """
    try:
        content = parse_json(path)
    except InputError as error:
        sink("json-unreadable", str(error).removeprefix(f"{path}: "))
        return {key: [] for key in LISTS}
    return lists_of(content, sink)


def lists_of(content: Any, sink: Sink) -> dict[str, list[Any]]:
    """As `read_lists`, of what the JSON holds."""
    given = content if isinstance(content, dict) else {}
    lists = {key: given[key] for key in LISTS if isinstance(given.get(key), list)}
    annotations = [entry for entry in lists.get("annotations", ()) if isinstance(entry, dict)]
    if any("segmentation" in a for a in annotations) and not any("segments_info" in a for a in annotations):
        sink("json-instances", "an instances JSON (no annotation has segments_info); expected a panoptic one")
    elif len(lists) < len(LISTS):
        missing = ", ".join(key for key in LISTS if key not in lists)
        expected = "a COCO panoptic JSON with the lists images, annotations and categories"
        sink("json-other", f"expected {expected}; lacks {missing}")
    else:
        return lists
    return {key: [] for key in LISTS}


def read_category_list(path: Path, expected: str = "a JSON with a list of categories") -> list[Any]:
    """The entries, unchecked, of a JSON that is a list of categories or has one under `categories`.

    Args:
        path: the JSON.
        expected: what should be there, for the message.

    Raises:
        InputError: it cannot be read, or holds no such list.
    """
    content = parse_json(path, expected)
    entries = content.get("categories") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list of categories, or a JSON with one under categories")
    return entries


def read_images(lists: dict[str, list[Any]], category_ids: dict[int, int], sink: Sink) -> Iterator[ImageEntry]:
    """The images that have an annotation, in the order of the JSON.

    Args:
        lists: of `read_lists`.
        category_ids: the file's category id -> ours.
        sink: gets "image-without-annotation", "annotation-without-image" and what the functions below give it. If it
            goes on after "file-name-twice", both images come: ids tell them apart.
    """
    annotations = read_annotations(lists["annotations"], sink)
    for image in read_image_entries(lists["images"], sink):
        annotation = annotations.pop(image["id"], None)
        if annotation is None:
            sink("image-without-annotation", f"image {image['file_name']} (id {image['id']!r}) has no annotation")
            continue
        segments, boxes = true_segments(annotation, category_ids, image["height"] * image["width"], sink)
        yield ImageEntry(
            file_name=image["file_name"],
            png_name=annotation["file_name"],
            image_id=image["id"],
            height=image["height"],
            width=image["width"],
            segments=segments,
            boxes=boxes,
            complete=len(segments) == len(annotation["segments_info"]),
            extra={key: value for key, value in image.items() if key not in IMAGE_KEYS},
        )
    for image_id, annotation in annotations.items():
        name = annotation["file_name"]
        sink("annotation-without-image", f"annotation of image id {image_id!r}, not in images: {name}")


def read_image_entries(entries: list[Any], sink: Sink) -> Iterator[dict[str, Any]]:
    """The entries of `images` that can be used; sides and ids as integers.

    Args:
        entries: the list, of a panoptic or of an instances JSON.
        sink: gets "image-invalid", "image-id-twice" and "file-name-twice"; the image of the last comes all the same.
    """
    ids: set[int | str] = set()
    names: set[str] = set()
    for number, entry in enumerate(entries):
        try:
            image = _image(entry)
        except InputError as error:
            sink("image-invalid", f"{_place('images', number, entry)}: {error}")
            continue
        image_id, name = image["id"], image["file_name"]
        if image_id in ids:
            sink("image-id-twice", f"{_place('images', number, entry)}: id {image_id!r} used twice")
            continue
        if name in names:
            sink("file-name-twice", f"{_place('images', number, entry)}: file_name {name} used twice")
        ids.add(image_id)
        names.add(name)
        yield image


def _image(entry: Any) -> dict[str, Any]:
    require_keys(entry, IMAGE_KEYS)
    text(entry, "file_name")
    height, width = (integer(entry, key, 1, MAX_SIDE) for key in ("height", "width"))
    if height * width > MAX_PIXELS:
        raise InputError(f"{height} x {width} pixels, expected at most {MAX_PIXELS} in all")
    return {**entry, "id": image_id_of(entry, "id"), "height": height, "width": width}


def read_annotations(entries: list[Any], sink: Sink) -> dict[int | str, dict[str, Any]]:
    """The entries of `annotations` by image id, checked but for their segments.

    Args:
        entries: the list, of a truth or of a prediction.
        sink: gets "annotation-invalid" and "annotation-twice".
    """
    annotations: dict[int | str, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        try:
            image_id = _annotated_image(entry)
        except InputError as error:
            sink("annotation-invalid", f"{_place('annotations', number, entry)}: {error}")
            continue
        if image_id in annotations:
            sink("annotation-twice", f"{_place('annotations', number, entry)}: image_id {image_id!r} used twice")
        else:
            annotations[image_id] = entry
    return annotations


def _annotated_image(entry: Any) -> int | str:
    if isinstance(entry, dict) and "segments_info" not in entry and ("segmentation" in entry or "bbox" in entry):
        raise InputError("of an instances JSON (no segments_info); expected a panoptic one")
    require_keys(entry, ANNOTATION_KEYS)
    text(entry, "file_name")
    if not isinstance(entry["segments_info"], list):
        raise InputError(f"segments_info must be a list, found {reprlib.repr(entry['segments_info'])}")
    return image_id_of(entry, "image_id")


def _place(key: str, number: int, entry: Any) -> str:
    """Where an entry of a list is, with its file name if it has one, for messages."""
    name = entry.get("file_name") if isinstance(entry, dict) else None
    return f"{key}[{number}] ({reprlib.repr(name)})" if isinstance(name, str) else f"{key}[{number}]"


def true_segments(
    annotation: dict[str, Any], category_ids: dict[int, int], pixels: int, sink: Sink
) -> tuple[np.ndarray, list[Any]]:
    """The segments of one annotation of the truth, dtype `SEGMENT`, and the file's `bbox` of each, or None.

    Args:
        annotation: of `read_annotations`.
        category_ids: the file's category id -> ours.
        pixels: of the image; no segment is larger.
        sink: gets "segment-invalid", "segment-twice", "category-unknown" and, for a segment that is kept,
            "area-differs".
    """
    return _segments(annotation, _true_columns, 1, category_ids, pixels, sink)


def predicted_segments(annotation: dict[str, Any], category_ids: dict[int, int], sink: Sink) -> np.ndarray:
    """The segments of one annotation of a prediction, dtype `SEGMENT`; areas are left 0, a score is optional.

    The id 0 may be among them: where it is listed, the official tool takes its pixels for a segment.
    Arguments are those of `true_segments`.
    """
    return _segments(annotation, _predicted_columns, 0, category_ids, 0, sink)[0]


def _true_columns(entry: Any) -> tuple[bool, float, float]:
    require_keys(entry, TRUE_KEYS)
    return "iscrowd" in entry and flag(entry, "iscrowd"), finite_number(entry, "area", low=0), 1.0


def _predicted_columns(entry: Any) -> tuple[bool, float, float]:
    require_keys(entry, PREDICTED_KEYS)
    return False, 0, _score(entry) if has_score(entry) else 1.0


def _score(entry: dict[str, Any]) -> float:
    score = finite_number(entry, "score")
    if abs(score) > MAX_FLOAT32:
        raise InputError(f"score must be a finite number in float32, found {score}")
    return score


def has_score(entry: dict[str, Any]) -> bool:
    """Whether a predicted segment has a score; null is none."""
    return entry.get("score") is not None


def _segments(
    annotation: dict[str, Any],
    columns: Callable[[Any], tuple[bool, float, float]],
    least_id: int,
    category_ids: dict[int, int],
    pixels: int,
    sink: Sink,
) -> tuple[np.ndarray, list[Any]]:
    """As `true_segments`; `columns` checks an entry and gives its (iscrowd, area, score)."""
    rows: dict[int, tuple[int, int, bool, float, float]] = {}
    boxes = []
    key = f"annotation {annotation['file_name']}, segments_info"
    for place, entry in enumerate(annotation["segments_info"]):
        try:
            iscrowd, area, score = columns(entry)
            segment_id = integer(entry, "id", least_id, MAX_SEGMENT_ID)
            category_id = integer(entry, "category_id", 0, MAX_INT32)
        except InputError as error:
            sink("segment-invalid", f"{key}[{place}]: {error}")
            continue
        if segment_id in rows:
            sink("segment-twice", f"{key}[{place}]: id {segment_id} used twice")
            continue
        if category_id not in category_ids:
            known = f"categories, which have {reprlib.repr(sorted(category_ids))}"
            sink("category-unknown", f"{key}[{place}]: unknown category_id {category_id}, not in {known}")
            continue
        if area > pixels:
            sink("area-differs", f"{key}[{place}]: area must be at most {pixels} pixels, found {area:.12g}")
        rows[segment_id] = (segment_id, category_ids[category_id], iscrowd, area, score)
        boxes.append(entry.get("bbox"))
    return np.array(list(rows.values()), SEGMENT), boxes


def image_id_of(entry: dict[str, Any], key: str) -> int | str:
    """An image's id: an integer, as in COCO, or a text, as in Cityscapes."""
    if isinstance(entry[key], str):
        return text(entry, key)
    if not isinstance(entry[key], int | float):
        raise InputError(f"{key} must be an integer or a text, found {reprlib.repr(entry[key])}")
    return integer(entry, key, -MAX_INT64 - 1, MAX_INT64)
