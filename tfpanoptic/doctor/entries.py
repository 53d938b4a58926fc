"""The categories and images of a panoptic JSON that can be used, and findings about all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tfpanoptic.categories import Category, read_coco_categories
from tfpanoptic.data.coco_json import ImageEntry, read_images, read_lists
from tfpanoptic.data.dataset import ImageRecord
from tfpanoptic.doctor.findings import Findings
from tfpanoptic.panoptic_map import MAX_CATEGORY, MAX_INSTANCE


def read_entries(path: Path, findings: Findings) -> tuple[tuple[Category, ...], list[ImageEntry]] | None:
    """The categories, by their ids, and the images with an annotation, in the order of the JSON.

    Returns None, with a finding, for a file that is no panoptic JSON.
    """
    lists = read_lists(path, lambda code, message: findings.add(code, f"{path.name}: {message}"))
    if findings.to_list():
        return None
    categories = read_coco_categories(lists["categories"], findings.add)
    if len(categories) > MAX_CATEGORY:
        findings.add("too-many-categories", f"{path.name}: {len(categories)}")
    entries = []
    for entry in read_images(lists, {c.source_id: c.id for c in categories}, findings.add):
        entries.append(entry)
    if not entries:
        findings.add("no-images", path.name)
    for name, count in Counter(entry.png_name for entry in entries).items():
        if count > 1:
            findings.add("png-shared", name)
    return categories, entries


def check_kinds(image: ImageEntry | ImageRecord, categories: Sequence[Category], findings: Findings) -> None:
    """Findings about crowds, stuff in several segments and too many instances of an image.

    Args:
        image: with the segments that can be used.
        categories: in the order of their ids.
        findings: gets the findings.
    """
    counts: Counter[int] = Counter()
    name = image.file_name
    for category_id, iscrowd in image.segments[["category", "iscrowd"]].tolist():
        category = categories[category_id - 1]
        if iscrowd:
            findings.add("crowd" if category.isthing else "stuff-crowd", f"{name}: {category.name}", name)
        else:
            counts[category_id] += 1
    for category_id, count in counts.items():
        category = categories[category_id - 1]
        if not category.isthing and count > 1:
            findings.add("stuff-pieces", f"{name}: {count} of {category.name}", name)
        if category.isthing and count > MAX_INSTANCE:
            findings.add("too-many-instances", f"{name}: {count} of {category.name}", name)
