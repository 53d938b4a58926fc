"""The counters of an evaluation, image by image: what is saved, resumed, merged, sliced and resampled.

A state file is a line of JSON for the header and one for each image, appended as the images are done. It survives a
kill: the line that was being written is dropped, and the evaluation goes on behind the last whole one.
Sums are always taken in the order of the images' names, so shards merged in any order give the same number.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfpanoptic.atomic import require_file_place
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures import MEASURES

FORMAT = 1


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """What was counted in one image.

    Attributes:
        name: of the image, one of its kind in the evaluation.
        rows: measure -> float64 `[R, columns]`, the rows of its `count_rows`.
        columns: what the dataset's table of images says of it, as `kind` or `city`.
        missing: there was no prediction, and its segments were counted as missed.
    """

    name: str
    rows: Mapping[str, np.ndarray]
    columns: Mapping[str, Any] = field(default_factory=dict)
    missing: bool = False


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The counters of a set of images.

    Attributes:
        categories: what the category ids of the rows mean.
        measures: names in `MEASURES`, the same for all images.
        source: fingerprint of what was evaluated; only an evaluation of the same source is resumed.
        images: by name.
    """

    categories: CategoryTable
    measures: tuple[str, ...]
    source: str = ""
    images: Mapping[str, ImageCounts] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def in_order(self) -> list[ImageCounts]:
        """The images in the order of their names, the order of every sum."""
        return [self.images[name] for name in sorted(self.images)]

    def rows(self, measure: str) -> np.ndarray:
        """The rows of a measure of all images, in their order; float64 `[R, columns]`."""
        none = np.zeros((0, len(MEASURES[measure].columns)))
        return np.concatenate([none, *(image.rows[measure] for image in self.in_order())])

    def rows_of_images(self, measure: str) -> tuple[np.ndarray, np.ndarray]:
        """`rows`, and the number of the image of each in `in_order`, int64 `[R]`."""
        lengths = [len(image.rows[measure]) for image in self.in_order()]
        return self.rows(measure), np.repeat(np.arange(len(lengths)), lengths)

    def values(self, column: str) -> list[str]:
        """The values of a column of the images' table, as text, in alphabetical order.

        Raises:
            InputError: no image has the column.
        """
        found = {_text(image.columns[column]) for image in self.images.values() if column in image.columns}
        if not found:
            known = sorted({name for image in self.images.values() for name in image.columns})
            raise InputError(f"column {column!r}: no image has it; found {', '.join(known) or 'no columns at all'}")
        return sorted(found)

    def where(self, column: str, value: str) -> Evaluation:
        """The evaluation of the images with this value, a text, in a column of their table."""
        chosen = {n: i for n, i in self.images.items() if column in i.columns and _text(i.columns[column]) == value}
        return replace(self, images=chosen)


def plain_columns(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Those values of an image's entry in a table that can slice an evaluation: texts, numbers, true and false."""
    return {key: value for key, value in entry.items() if isinstance(value, str | int | float | bool)}


def merge(evaluations: Iterable[tuple[str, Evaluation]]) -> Evaluation:
    """The evaluation of the images of several, such as shards.

    Args:
        evaluations: each with its file's name, for messages.

    Raises:
        InputError: their categories or measures differ, or an image is in two with different counters.
    """
    (first_name, first), *others = evaluations
    images = dict(first.images)
    origin = dict.fromkeys(images, first_name)
    for name, other in others:
        if other.categories != first.categories or other.measures != first.measures:
            what = "categories" if other.categories != first.categories else "measures"
            raise InputError(f"{name}: its {what} are not those of {first_name}; only parts of one evaluation merge")
        for image_name, image in other.images.items():
            if image_name in images and not _same(images[image_name], image):
                raise InputError(
                    f"{name}: image {image_name} is in {origin[image_name]}, too, with other counters; "
                    "are these two evaluations rather than parts of one?"
                )
            images[image_name] = image
            origin[image_name] = name
    return replace(first, images=images)


def load_state(path: str | Path) -> Evaluation:
    """The evaluation of a state file; a last line that was cut short is left out.

    Raises:
        InputError: no such file, not a state file, or a damaged line that is not the last.
    """
    return _parse(Path(path))[0]


class StateFile:
    """A state file being written; use it as a context.

    `evaluation` is what the file held when it was opened; `append` adds an image.

    Args:
        path: the file; one that exists is continued.
        start: categories, measures and source of the evaluation.

    Raises:
        InputError: the file is of another evaluation, or cannot be written.
    """

    def __init__(self, path: str | Path, start: Evaluation):
        self.path = Path(path)
        require_file_place(self.path)
        self.evaluation = replace(start, images={})
        length = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size:
                self.evaluation, length = _parse(self.path)
                _require_same_start(self.path, self.evaluation, start)
            self._file: BinaryIO = self.path.open("r+b" if length else "wb")
            self._file.truncate(length)
            self._file.seek(length)
            if not length:
                self._write(_header(start))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None

    def append(self, image: ImageCounts) -> None:
        """Adds an image; it is in the file when this returns."""
        self._write(_line(image))

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> StateFile:
        return self

    def __exit__(self, *_) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


def _header(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "tfpanoptic_evaluation": FORMAT,
        "categories": json.loads(evaluation.categories.to_json()),
        "measures": list(evaluation.measures),
        "source": evaluation.source,
    }


def _line(image: ImageCounts) -> dict[str, Any]:
    rows = {measure: [[_number(v) for v in row] for row in rows.tolist()] for measure, rows in image.rows.items()}
    return {"image": image.name, "missing": image.missing, "columns": dict(image.columns), "rows": rows}


def _number(value: float) -> float | int:
    """Whole numbers as such: shorter, and easier to read; JSON gives the very same float back for all others."""
    return int(value) if value.is_integer() else value


def _parse(path: Path) -> tuple[Evaluation, int]:
    """The evaluation of a state file, and the length in bytes of its whole lines."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a state file of `tfpanoptic evaluate --state`") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    length = content.rfind(b"\n") + 1
    header, *lines = content[:length].split(b"\n")[:-1] or [content]
    evaluation = _read_header(path, header)
    images = {}
    for number, line in enumerate(lines, start=2):
        image = _read_line(f"{path}: line {number}", line, evaluation)
        images[image.name] = image
    return replace(evaluation, images=images), length


def _read_header(path: Path, line: bytes) -> Evaluation:
    try:
        entry = json.loads(line)
        if entry["tfpanoptic_evaluation"] != FORMAT:
            raise InputError(f"version {entry['tfpanoptic_evaluation']!r}, expected {FORMAT}")
        categories = CategoryTable.from_json(json.dumps(entry["categories"]))
        unknown = [name for name in entry["measures"] if name not in MEASURES]
        if unknown:
            raise InputError(f"unknown measure {unknown[0]!r}, expected some of {', '.join(MEASURES)}")
        return Evaluation(categories, tuple(entry["measures"]), str(entry["source"]))
    except InputError as error:
        raise InputError(f"{path}: a state file that cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: not a state file of `tfpanoptic evaluate --state`") from None


def _read_line(place: str, line: bytes, evaluation: Evaluation) -> ImageCounts:
    try:
        entry = json.loads(line)
        rows = {}
        for measure in evaluation.measures:
            width = len(MEASURES[measure].columns)
            rows[measure] = np.array(entry["rows"][measure], np.float64).reshape(-1, width)
            category = rows[measure][:, 0]
            if not np.isfinite(rows[measure]).all() or ((category < 0) | (category > len(evaluation.categories))).any():
                raise ValueError
        return ImageCounts(str(entry["image"]), rows, dict(entry["columns"]), bool(entry["missing"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{place}: damaged; expected an image's counters, found {reprlib.repr(line[:60])}") from None


def _require_same_start(path: Path, found: Evaluation, start: Evaluation) -> None:
    for what in ("categories", "measures", "source"):
        if getattr(found, what) != getattr(start, what):
            told = "files" if what == "source" else what
            raise InputError(
                f"{path}: holds an evaluation of other {told}; give another --state file, or delete this one"
            )


def _same(first: ImageCounts, second: ImageCounts) -> bool:
    return all(np.array_equal(rows, second.rows[measure]) for measure, rows in first.rows.items())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
