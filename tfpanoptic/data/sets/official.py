"""An official set from its panoptic JSON: the categories are known before the file is read, and photos are looked for.

Source of the format: https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import ImageEntry, read_lists
from tfpanoptic.data.coco_panoptic import image_records
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.folder_listing import IMAGE_SUFFIXES
from tfpanoptic.errors import InputError, raise_first


@dataclass(frozen=True)
class PanopticFiles:
    """The files of one split.

    Attributes:
        annotations: the panoptic JSON.
        panoptic: folder of its PNGs.
        images: folder of the photos, for messages.
        photo_of: an image of the JSON -> its photo, None where there is none.
    """

    annotations: Path
    panoptic: Path
    images: Path
    photo_of: Callable[[ImageEntry], Path | None]


def read_official(
    name: str, split: str, table: CategoryTable, files: PanopticFiles, known: Mapping[str, int] | None = None
) -> Dataset:
    """The dataset of an official panoptic JSON, in the categories of a table; no pixel is read yet.

    Args:
        name: the dataset's name.
        split: "train" or "val".
        table: the set's categories.
        files: of the split.
        known: what the file may call a category -> our id, 0 for one that counts as void; by default the names of the
            table.

    Raises:
        InputError: a file is missing, the JSON is not a panoptic one or wrong, or a category of it is not the set's.
    """
    origin = files.annotations
    lists = read_lists(origin, raise_first(origin))
    own = CategoryTable.from_coco(lists["categories"], str(origin))
    category_ids = _category_ids(own, table, known or {c.name: c.id for c in table}, f"{origin}: not {name}'s")
    pngs = _names(files.panoptic)
    lost_photos: list[str] = []
    lost_pngs: list[str] = []

    def photo_of(entry: ImageEntry) -> Path:
        photo = files.photo_of(entry)
        if photo is None:
            lost_photos.append(entry.file_name)
        return photo or files.images / entry.file_name

    def png_of(entry: ImageEntry) -> Path:
        if entry.png_name not in pngs:
            lost_pngs.append(entry.png_name)
        return files.panoptic / entry.png_name

    records = image_records(origin, lists, category_ids, photo_of, png_of)
    require_all(files.images, "photos", lost_photos, len(records), f"{origin} lists")
    require_all(files.panoptic, "PNGs", lost_pngs, len(records), f"{origin} lists")
    return Dataset(name, split, table, tuple(replace(r, file_name=r.image_path.name) for r in records))


def _category_ids(own: CategoryTable, table: CategoryTable, known: Mapping[str, int], wrong: str) -> dict[int, int]:
    """The file's category id -> ours."""
    ids = {}
    for category in own:
        number = known.get(category.name.strip())
        if number is None:
            raise InputError(f"{wrong}: category {category.name} (id {category.source_id}) is none of the set")
        if number and category.isthing != table[number].isthing:
            kinds = [("a thing" if thing else "stuff") for thing in (category.isthing, table[number].isthing)]
            raise InputError(f"{wrong}: category {category.name} is {kinds[0]}; expected {kinds[1]}")
        ids[category.source_id] = number
    return ids


def require_all(folder: Path, what: str, lost: Iterable[str], total: int, origin: str) -> None:
    """Checks that nothing is lost.

    Args:
        folder: where the files should be.
        what: the files, plural.
        lost: names of those that are not there.
        total: how many there should be.
        origin: what names them, with its verb.

    Raises:
        InputError: some are; the first one is named.
    """
    first, *others = [*sorted(lost), None]
    if first is not None:
        count = len(others)
        raise InputError(f"{folder}: lacks {count} of {total} {what} that {origin}; the first is {first}")


def photos_of_folder(folder: Path) -> Callable[[ImageEntry], Path | None]:
    """A function: an image of a JSON -> its photo in a folder, under its name or, whatever the suffix, under its stem.

    The folder is listed once.

    Raises:
        InputError: it cannot be listed.
    """
    names = _names(folder)
    stems = {os.path.splitext(name)[0]: name for name in sorted(names) if name.lower().endswith(IMAGE_SUFFIXES)}

    def photo_of(entry: ImageEntry) -> Path | None:
        name = os.path.basename(entry.file_name)
        found = name if name in names else stems.get(os.path.splitext(name)[0])
        return None if found is None else folder / found

    return photo_of


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder}: cannot list this folder ({error.strerror})") from None
