"""The categories and images of a panoptic JSON that can be used, and findings about all others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tfpanoptic.categories import Category, read_coco_categories
from tfpanoptic.data.coco_json import ImageEntry, read_images, read_lists
from tfpanoptic.doctor.findings import Findings
from tfpanoptic.panoptic_map import MAX_INSTANCE


def image_names(path: Path) -> list[str]:
    """The file names of the images that a JSON lists; none for what is no panoptic JSON."""
    entries = read_lists(path, lambda code, message: None)["images"]
    names = [entry.get("file_name") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def read_entries(path: Path, findings: Findings) -> tuple[tuple[Category, ...], list[ImageEntry]] | None:
    """The categories, by their ids, and the images with an annotation, in the order of the JSON.

    Returns None, with a finding, for a file that is no panoptic JSON.
    """
    lists = read_lists(path, lambda code, message: findings.add(code, f"{path.name}: {message}"))
    if findings.to_list():
        return None
    categories = read_coco_categories(lists["categories"], findings.add)
    for code, isthing in (("no-things", True), ("no-stuff", False)):
        if categories and not any(category.isthing == isthing for category in categories):
            findings.add(code, ", ".join(sorted(category.name for category in categories)[:5]))
    entries = []
    for entry in read_images(lists, {c.source_id: c.id for c in categories}, findings.add):
        _check_kinds(entry, categories, findings)
        entries.append(entry)
    if not entries:
        findings.add("no-images", path.name)
    for name, count in Counter(entry.png_name for entry in entries).items():
        if count > 1:
            findings.add("png-shared", name)
    return categories, entries


def _check_kinds(entry: ImageEntry, categories: tuple[Category, ...], findings: Findings) -> None:
    """Findings about crowds, stuff in several segments, too many instances and images without a segment."""
    counts: Counter[int] = Counter()
    for category_id, iscrowd in entry.segments[["category", "iscrowd"]].tolist():
        category = categories[category_id - 1]
        if iscrowd:
            findings.add("crowd" if category.isthing else "stuff-crowd", f"{entry.file_name}: {category.name}")
        else:
            counts[category_id] += 1
    for category_id, count in counts.items():
        category = categories[category_id - 1]
        if not category.isthing and count > 1:
            findings.add("stuff-pieces", f"{entry.file_name}: {count} of {category.name}")
        if category.isthing and count > MAX_INSTANCE:
            findings.add("too-many-instances", f"{entry.file_name}: {count} of {category.name}")
    if entry.complete and not len(entry.segments):
        findings.add("no-segment", entry.file_name)
