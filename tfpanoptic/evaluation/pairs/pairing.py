"""Which predicted annotation is of which image of the truth.

Source: the COCO panoptic API (`evaluation.py`) pairs by image id and reads no file name. Tools that know nothing of
the truth number their images as they come: where that shows, the names in the prediction's list `images` decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from tfpanoptic.data.coco_json import ImageEntry, image_id_of
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import COUNTED_IDS

ImageId = int | str


@dataclass(frozen=True)
class Predictions:
    """The entries of a prediction's JSON: annotations by image id; what else it says, empty if it has none."""

    annotations: dict[ImageId, dict]
    images: list
    categories: list
    info: dict


@dataclass(frozen=True)
class Paired:
    """Predicted annotations by the truth's image ids.

    Attributes:
        annotations: by id of a true image.
        beyond: the own ids of the others, which are of no image of the truth.
        notes: what a person should know, a line each.
    """

    annotations: dict[ImageId, dict]
    beyond: list[ImageId]
    notes: list[str]


def by_true_ids(origin: str, predicted: Predictions, images: Sequence[ImageEntry]) -> Paired:
    """The predicted annotations of the truth's images.

    They are paired by id where every true image has a prediction of its id, whatever the files are called. Otherwise
    by the file names in the prediction's list `images`, if these find more of them, or as many and some id is of no
    image of the truth; names without their endings will
    do where no whole name is found. A prediction whose `info` says that its ids are a mere count, as that of
    `tfpanoptic predict`, is paired by name if any name is found.

    Args:
        origin: the prediction's file, for the notes.
        predicted: the prediction.
        images: of the truth.
    """
    names = _names(predicted.images)
    true_ids = {image.image_id for image in images}
    same = {image_id: image_id for image_id in predicted.annotations if image_id in true_ids}
    named = _true_ids_by_name({i: names[i] for i in predicted.annotations if i in names}, images)
    counted = predicted.info.get("image_ids") == COUNTED_IDS
    strange_ids = len(same) < len(predicted.annotations)
    better_named = len(named) > len(same) or (len(named) == len(same) and strange_ids)
    if (counted and named) or (better_named and len(same) < len(true_ids)):
        found, notes = named, []
        if any(own != true for own, true in named.items()):
            notes = [f"{origin}: its image ids are not the truth's; paired by the file names in its list images"]
    else:
        found, notes = same, _name_notes(origin, names, images)
    annotations = {true: predicted.annotations[own] for own, true in found.items()}
    return Paired(annotations, [own for own in predicted.annotations if own not in found], notes)


def _names(entries: Sequence[Any]) -> dict[ImageId, str]:
    """File names by id, of the entries of a list of images that have both."""
    names = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("file_name"), str) and "id" in entry:
            try:
                names[image_id_of(entry, "id")] = entry["file_name"]
            except InputError:
                continue
    return names


def _true_ids_by_name(names: Mapping[ImageId, str], images: Sequence[ImageEntry]) -> dict[ImageId, ImageId]:
    """Predicted image id -> true one of the same name, for names that are unique on both sides."""
    found: dict[ImageId, ImageId] = {}
    for key in (str, _stem):
        true = _unique({image.image_id: key(image.file_name) for image in images})
        own = _unique({image_id: key(name) for image_id, name in names.items()})
        found = found or {image_id: true[name] for name, image_id in own.items() if name in true}
    return found


def _unique(names: Mapping[ImageId, str]) -> dict[str, ImageId]:
    counts = Counter(names.values())
    return {name: image_id for image_id, name in names.items() if counts[name] == 1}


def _stem(name: str) -> str:
    return PurePath(name.replace("\\", "/")).stem


def _name_notes(origin: str, names: Mapping[ImageId, str], images: Sequence[ImageEntry]) -> list[str]:
    """A line if the prediction has, for an image's id, the name of another one of the truth."""
    stems = {_stem(image.file_name) for image in images}
    other = [
        image
        for image in images
        if _stem(names.get(image.image_id, image.file_name)) in stems - {_stem(image.file_name)}
    ]
    if not other:
        return []
    first, more = other[0], f", and {len(other) - 1} more" if len(other) > 1 else ""
    return [
        f"{origin}: image {first.image_id!r} is {names[first.image_id]}, in the truth {first.file_name}{more}; "
        "paired by image id, as the official evaluation does"
    ]
