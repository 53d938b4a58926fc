"""The splits of a dataset, compared with each other by what their annotations say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfpanoptic.categories import Category
from tfpanoptic.data.dataset import ImageRecord
from tfpanoptic.doctor.contents import Contents
from tfpanoptic.doctor.copies import find_copies
from tfpanoptic.doctor.findings import Findings

# Image ids that are meant to tell the images of both splits apart are mostly different. Own choice.
MOST_SHARED_IDS = 0.5


def compare_splits(train: Contents, val: Contents, findings: Findings) -> None:
    """Findings about images of both splits, their numbers, and categories that differ."""
    _compare_images(train, val, findings)
    _compare_listed(train.categories, val.categories, findings)
    _compare_shown(train, val, findings)
    if len(val.cases) > len(train.cases):
        findings.add("split-sizes", f"val {len(val.cases)}, train {len(train.cases)}")


def seen_categories(contents: Contents) -> set[str]:
    """The names of the categories that have a segment."""
    ids = {number for record in contents.records for number in record.segments["category"].tolist()}
    return {category.name for category in contents.categories if category.id in ids}


def _compare_images(train: Contents, val: Contents, findings: Findings) -> None:
    places = {_place(record) for record in train.records}
    shared = [record for record in val.records if _place(record) in places]
    own = {*val.photos()} - {*train.photos()}
    others = {*train.photos()} - {*val.photos()}
    copies = find_copies([p for p in val.photos() if p in own], [p for p in train.photos() if p in others], findings)
    if val.cases and len(shared) + copies == len(val.cases):
        first = (shared or val.records)[0].file_name
        findings.add("split-same", f"all {len(val.cases)}: {first}, ...")
    else:
        for record in shared:
            findings.add("split-shared", record.file_name, record.file_name)
    if not shared:
        _compare_ids(train.records, val.records, findings)


def _place(record: ImageRecord) -> tuple[Path, str]:
    return record.image_path, "" if record.storage.image_feature is None else str(record.offset)


def _compare_ids(train: Sequence[ImageRecord], val: Sequence[ImageRecord], findings: Findings) -> None:
    names = {record.image_id: record.file_name for record in train}
    both = [record for record in val if record.image_id in names]
    # Ids that start again in each split are meant so.
    if len(both) < MOST_SHARED_IDS * min(len(val), len(train)):
        for record in both:
            told = f"{record.image_id}: {names[record.image_id]} in train, {record.file_name} in val"
            findings.add("image-ids", told, record.file_name)


def _compare_listed(train: Sequence[Category], val: Sequence[Category], findings: Findings) -> None:
    known: Mapping[str, Category] = {category.name: category for category in train}
    ids = {category.source_id: category.name for category in train}
    for category in val:
        match = known.get(category.name)
        if match is None:
            other = ids.get(category.source_id)
            told = f", whose id {category.source_id} is {other} in train" if other is not None else ""
            findings.add("category-unlisted", f"{category.name}{told}")
        elif match.isthing != category.isthing:
            kinds = ("stuff", "a thing")
            told = f"{kinds[match.isthing]} in train, {kinds[category.isthing]} in val"
            findings.add("split-kinds", f"{category.name}: {told}")
        elif match.source_id != category.source_id:
            findings.add("category-ids", f"{category.name}: {match.source_id} in train, {category.source_id} in val")


def _compare_shown(train: Contents, val: Contents, findings: Findings) -> None:
    taught, measured = seen_categories(train), seen_categories(val)
    listed = {category.name for category in train.categories}
    for category in val.categories:
        if category.name in (measured - taught) & listed:
            findings.add("category-untaught", category.name)
    for category in train.categories:
        if category.name in taught - measured:
            findings.add("category-unmeasured", category.name)
