"""The counters of an evaluation, image by image: what is saved, resumed, merged, sliced and resampled.

Sums are always taken in one order of the images, so shards merged in any order give the same number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures import MEASURES
from tfpanoptic.evaluation.truth import UNKNOWN, TruthPrint

# Name of the slice of the images without a value.
NO_VALUE = "(no value)"


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """What was counted in one image.

    Attributes:
        name: of the image, one of its kind in the evaluation.
        rows: measure -> float64 `[R, columns]`, the rows of its `count_rows`.
        columns: what the dataset's table of images says of it, as `kind` or `city`.
        missing: there was no prediction, and its segments were counted as missed.
        wrong_areas: true segments whose area in the annotation is not the number of their pixels.
        stamp: differs if the image's files were changed since.
        image_id: the dataset's own id; None where a state file does not hold it.
        truth: fingerprint of the true segments.
        file_name: of the photo, which another image may share; empty where it is `name`.
    """

    name: str
    rows: Mapping[str, np.ndarray]
    columns: Mapping[str, Any] = field(default_factory=dict)
    missing: bool = False
    wrong_areas: int = 0
    stamp: str = ""
    image_id: int | str | None = None
    truth: TruthPrint = UNKNOWN
    file_name: str = ""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The counters of a set of images.

    Attributes:
        categories: what the category ids of the rows mean.
        measures: names in `MEASURES`, the same for all images.
        source: fingerprint of what was evaluated; only an evaluation of the same source is resumed.
        images: by name.
        total: number of images of the whole evaluation, of which these may be a part; 0 if nobody says.
        rules: what is counted otherwise than the official evaluation does, `rules.Rules.lines`.
    """

    categories: CategoryTable
    measures: tuple[str, ...]
    source: str = ""
    images: Mapping[str, ImageCounts] = field(default_factory=dict)
    total: int = 0
    rules: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def in_order(self) -> list[ImageCounts]:
        """The images in the order of their names."""
        return [self.images[name] for name in sorted(self.images)]

    def in_order_of_ids(self) -> list[ImageCounts]:
        """The images in the order of their ids, numbers before texts; in that of their names if one has no id."""
        images = self.in_order()
        if not self.has_ids:
            return images
        return sorted(images, key=lambda image: (isinstance(image.image_id, str), image.image_id))

    @property
    def has_ids(self) -> bool:
        """Whether every image has its id."""
        return all(image.image_id is not None for image in self.images.values())

    def rows(self, measure: str) -> np.ndarray:
        """The rows of a measure of all images, in the order of their ids; float64 `[R, columns]`.

        It is the order in which the official AP takes detections of equal scores.
        """
        none = np.zeros((0, len(MEASURES[measure].columns)))
        return np.concatenate([none, *(image.rows[measure] for image in self.in_order_of_ids())])

    def by(self, column: str) -> dict[str, Evaluation]:
        """The evaluation of the images with each value, as text, in a column of their table; in alphabetical order.

        Images without a value come last, under `NO_VALUE`. In a part of an evaluation these may be all.

        Raises:
            InputError: no image of a whole evaluation has the column.
        """
        if len(self) >= self.total:
            require_column(column, [image.columns for image in self.images.values()])
        groups: dict[str, dict[str, ImageCounts]] = {}
        for name, image in self.images.items():
            groups.setdefault(_text(image.columns.get(column)), {})[name] = image
        values = sorted(groups, key=lambda value: (value == NO_VALUE, value))
        return {value: replace(self, images=groups[value]) for value in values}


def require_column(column: str, tables: Iterable[Mapping[str, Any]]) -> None:
    """Checks that an image has a column, whose `columns` are the tables.

    Raises:
        InputError: none has it.
    """
    known = {name for table in tables for name in table}
    if column not in known:
        raise InputError(f"column {column!r}: no image has it; found {', '.join(sorted(known)) or 'no columns at all'}")


def plain_columns(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Those values of an image's entry in a table that can slice an evaluation: texts, numbers, true and false."""
    return {key: value for key, value in entry.items() if isinstance(value, str | int | float | bool)}


def merge(evaluations: Iterable[tuple[str, Evaluation]]) -> Evaluation:
    """The evaluation of the images of several, such as shards.

    Args:
        evaluations: each with its file's name, for messages.

    Raises:
        InputError: their categories, measures or rules differ, or an image is in two with different counters.
    """
    (first_name, first), *others = evaluations
    totals = {first.source: first.total}
    images = dict(first.images)
    origin = dict.fromkeys(images, first_name)
    for name, other in others:
        for what in ("categories", "measures", "rules"):
            if getattr(other, what) != getattr(first, what):
                only = "only parts of one evaluation merge"
                raise InputError(f"{name}: its {what} are not those of {first_name}; {only}")
        totals[other.source] = other.total
        for image_name, image in other.images.items():
            if image_name in images and not _same(images[image_name], image):
                raise InputError(
                    f"{name}: image {image_name} is in {origin[image_name]}, too, with other counters; "
                    "are these two evaluations rather than parts of one?"
                )
            images[image_name] = image
            origin[image_name] = name
    return replace(first, images=images, total=sum(totals.values()))


def _same(first: ImageCounts, second: ImageCounts) -> bool:
    return all(np.array_equal(rows, second.rows[measure]) for measure, rows in first.rows.items())


def _text(value: Any) -> str:
    """A value as text; numbers alike whether or not they were written as whole ones, as tables have them."""
    if value is None or value == "" or value != value:  # NaN is what tables have for nothing
        return NO_VALUE
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)
