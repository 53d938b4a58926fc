"""The entries of a panoptic JSON that can be used, and findings about all others."""

from __future__ import annotations

import reprlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import IMAGE_KEYS, MAX_SEGMENT_ID, MAX_SIDE, TRUE_KEYS, annotation_image_id, parse_json
from tfpanoptic.doctor.findings import Findings
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import MAX_INT32, flag, integer, require_keys, text
from tfpanoptic.panoptic_map import MAX_INSTANCE

LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Entry:
    """One image of the JSON with its annotation.

    Attributes:
        file_name: of the photo.
        png_name: of the truth.
        height, width: in pixels, as the JSON says.
        segments: the entries of `segments_info` that can be used; their numbers are integers.
        complete: whether all of them can.
    """

    file_name: str
    png_name: str
    height: int
    width: int
    segments: list[dict[str, Any]]
    complete: bool


def read_lists(path: Path, findings: Findings) -> dict[str, list[Any]] | None:
    """The three lists of a panoptic JSON; None, with a finding, for any other file."""
    try:
        content = parse_json(path)
    except InputError as error:
        findings.add("json-unreadable", str(error))
        return None
    lists = {key: content.get(key) for key in LISTS} if isinstance(content, dict) else {}
    annotations = lists.get("annotations")
    annotations = [a for a in annotations if isinstance(a, dict)] if isinstance(annotations, list) else []
    if any("segmentation" in a for a in annotations) and not any("segments_info" in a for a in annotations):
        findings.add("json-instances", path.name)
        return None
    missing = [key for key in LISTS if not isinstance(lists.get(key), list)]
    if missing:
        findings.add("json-other", f"{path.name}: lacks the lists {', '.join(missing)}")
        return None
    return lists  # type: ignore[return-value]


def image_names(path: Path) -> list[str]:
    """The file names of the images that a JSON lists; none for what is no panoptic JSON."""
    entries = (read_lists(path, Findings()) or {}).get("images", [])
    names = [entry.get("file_name") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def read_categories(entries: list[Any], findings: Findings) -> dict[int, dict[str, Any]]:
    """The categories that can be used, by the file's id."""
    known: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for number, entry in enumerate(entries):
        told = f"categories[{number}]"
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            told += f" ({reprlib.repr(entry['name'])})"
        if isinstance(entry, dict) and "isthing" not in entry:
            findings.add("isthing-missing", told)
            continue
        try:
            category = CategoryTable.from_coco([entry])[1]
        except InputError as error:
            findings.add("category-invalid", f"{told}: {str(error).removeprefix('categories: categories[0]: ')}")
            continue
        if category.source_id in known or category.name in names:
            findings.add("category-twice", f"{told}: id {category.source_id}")
            continue
        names.add(category.name)
        known[category.source_id] = {"name": category.name, "isthing": category.isthing}
    if not known:
        findings.add("no-category", f"{len(entries)} entries")
    if known and not any(category["isthing"] for category in known.values()):
        findings.add("no-things", ", ".join(sorted(names)[:5]))
    if known and all(category["isthing"] for category in known.values()):
        findings.add("no-stuff", ", ".join(sorted(names)[:5]))
    return known


def read_entries(lists: dict[str, list[Any]], categories: dict[int, dict[str, Any]], findings: Findings) -> list[Entry]:
    """The images that have an annotation, in the order of the JSON."""
    annotations = _annotations(lists["annotations"], findings)
    entries: list[Entry] = []
    ids: set[Any] = set()
    names: set[str] = set()
    for number, entry in enumerate(lists["images"]):
        told = f"images[{number}]"
        try:
            require_keys(entry, IMAGE_KEYS)
            name = told = text(entry, "file_name")
            height, width = (integer(entry, key, 1, MAX_SIDE) for key in ("height", "width"))
            image_id = _hashable_id(entry["id"])
        except InputError as error:
            findings.add("image-invalid", f"{told}: {error}")
            continue
        if image_id in ids or name in names:
            findings.add("image-id-twice" if image_id in ids else "file-name-twice", f"{name}: id {image_id!r}")
            continue
        ids.add(image_id)
        names.add(name)
        annotation = annotations.pop(image_id, None)
        if annotation is None:
            findings.add("image-without-annotation", f"{name}: id {image_id!r}")
            continue
        segments = _segments(annotation, name, height * width, categories, findings)
        complete = len(segments) == len(annotation["segments_info"])
        entries.append(Entry(name, annotation["file_name"], height, width, segments, complete))
    for image_id, annotation in annotations.items():
        if image_id not in ids:
            findings.add("annotation-without-image", f"{annotation['file_name']}: image_id {image_id!r}")
    for name, count in Counter(entry.png_name for entry in entries).items():
        if count > 1:
            findings.add("png-shared", name)
    return entries


def _annotations(entries: list[Any], findings: Findings) -> dict[Any, dict[str, Any]]:
    """Annotations by image id."""
    found: dict[Any, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        try:
            image_id = annotation_image_id(entry, f"annotations[{number}]")
        except InputError as error:
            findings.add("annotation-invalid", str(error))
            continue
        if image_id in found:
            findings.add("annotation-twice", f"{entry['file_name']}: image_id {image_id!r}")
            continue
        found[image_id] = entry
    return found


def _hashable_id(image_id: Any) -> int | str:
    if type(image_id) not in (int, str) and not (type(image_id) is float and image_id.is_integer()):
        raise InputError(f"id must be an integer or a text, found {image_id!r}")
    return image_id if isinstance(image_id, str) else int(image_id)


def _segments(
    annotation: dict[str, Any], name: str, pixels: int, categories: dict[int, dict[str, Any]], findings: Findings
) -> list[dict[str, Any]]:
    """The segments of one annotation that can be used, with findings about all that the JSON alone shows."""
    found: dict[int, dict[str, Any]] = {}
    for number, entry in enumerate(annotation["segments_info"]):
        told = f"{name}: segments_info[{number}]"
        try:
            require_keys(entry, TRUE_KEYS)
            segment = {
                "id": integer(entry, "id", 1, MAX_SEGMENT_ID),
                "category_id": integer(entry, "category_id", 0, MAX_INT32),
                "area": integer(entry, "area", 0, MAX_INT32),
                "iscrowd": "iscrowd" in entry and flag(entry, "iscrowd"),
                "bbox": entry.get("bbox"),
            }
        except InputError as error:
            findings.add("segment-invalid", f"{told}: {error}")
            continue
        if segment["id"] in found:
            findings.add("segment-twice", f"{told}: id {segment['id']}")
            continue
        if segment["category_id"] not in categories:
            findings.add("category-unknown", f"{told}: category_id {segment['category_id']}")
            continue
        if segment["area"] > pixels:
            findings.add("area-differs", f"{told}: area {segment['area']}, the image has {pixels} pixels")
        found[segment["id"]] = segment
    _check_kinds(list(found.values()), name, categories, findings)
    if not annotation["segments_info"]:
        findings.add("no-segment", name)
    return list(found.values())


def _check_kinds(
    segments: list[dict[str, Any]], name: str, categories: dict[int, dict[str, Any]], findings: Findings
) -> None:
    """Findings about crowds, stuff in several segments and too many instances."""
    for segment in segments:
        category = categories[segment["category_id"]]
        if segment["iscrowd"]:
            findings.add("crowd" if category["isthing"] else "stuff-crowd", f"{name}: {category['name']}")
    for category_id, count in Counter(s["category_id"] for s in segments if not s["iscrowd"]).items():
        category = categories[category_id]
        if not category["isthing"] and count > 1:
            findings.add("stuff-pieces", f"{name}: {count} of {category['name']}")
        if category["isthing"] and count > MAX_INSTANCE:
            findings.add("too-many-instances", f"{name}: {count} of {category['name']}")
