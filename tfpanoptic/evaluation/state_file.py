"""Counters of an evaluation in a file: a line of JSON for the header and one for each image, appended as it is done.

It survives a kill: the line that was being written is dropped, and the evaluation goes on behind the last whole one.
"""

from __future__ import annotations

import errno
import json
import os
import reprlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.atomic import require_file_place
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.evaluation.measures import MEASURES
from tfpanoptic.evaluation.measures.attribution import CAUSES
from tfpanoptic.evaluation.measures.size_quality import SIZES
from tfpanoptic.evaluation.state import Evaluation, ImageCounts, merge
from tfpanoptic.evaluation.truth import TruthPrint

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
# Integers up to here are exact in float64.
MOST = 1 << 53


def load_state(path: str | Path) -> Evaluation:
    """The evaluation of a state file; a last line that was cut short is left out.

    Raises:
        InputError: no such file, not a state file, or a damaged line that is not the last.
    """
    return _parse(Path(path))[0]


def merged_states(paths: Sequence[str | Path]) -> Evaluation:
    """The evaluation of the images of several state files, such as shards; at least one.

    Files of other sources are told on standard error.

    Raises:
        InputError: as `load_state` and `state.merge`.
    """
    parts = [(str(path), load_state(path)) for path in paths]
    other = next((name for name, part in parts if part.source != parts[0][1].source), None)
    if other is not None:
        print(
            f"{other}: not of the same files or model as {paths[0]}; together they are the result of neither",
            file=sys.stderr,
        )
    merged = merge(parts)
    if "ap" in merged.measures and not merged.has_ids:
        print("AP: a state file of an older version has no image ids; equal scores count by file name", file=sys.stderr)
    return merged


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
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: FileIO = self.path.open("ab", buffering=0)  # what was refused is not kept
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None
        try:
            self._begin(start)
        except BaseException:
            self._file.close()  # and with it the lock
            raise

    def _begin(self, start: Evaluation) -> None:
        """Locks the open file, and takes what it holds or writes the header."""
        try:
            _lock(self._file)
            if self.path.stat().st_size:
                self.evaluation, length = _parse(self.path)
                _require_same_start(self.path, self.evaluation, start)
                self._file.truncate(length)
            else:
                self._write(_header(start))
        except BlockingIOError:
            raise InputError(f"{self.path}: another process is writing it; give each a --state of its own") from None
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None

    def append(self, image: ImageCounts) -> None:
        """Adds an image; it is in the file when this returns.

        Raises:
            WorkFailed: it cannot be written, as on a full disk; the images before it stay.
        """
        try:
            self._write(_line(image))
        except OSError as error:
            raise WorkFailed(
                f"{self.path}: cannot be written ({error.strerror}); a second run goes on behind its last image"
            ) from None

    def _write(self, entry: dict[str, Any]) -> None:
        rest = memoryview(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        while rest:
            rest = rest[self._file.write(rest) :]

    def __enter__(self) -> StateFile:
        return self

    def __exit__(self, *_) -> None:
        with self._file:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                if error.errno != errno.EINVAL:  # a device or pipe has nothing to wait for
                    raise WorkFailed(f"{self.path}: cannot be written ({error.strerror})") from None


def _lock(file: FileIO) -> None:
    """Locks an open file until it is closed, so that two evaluations do not write into one.

    Raises:
        BlockingIOError: another process holds it.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _header(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "tfpanoptic_evaluation": FORMAT,
        "categories": json.loads(evaluation.categories.to_json()),
        "measures": list(evaluation.measures),
        "source": evaluation.source,
        "rules": list(evaluation.rules),
        "total": evaluation.total,
    }


def _line(image: ImageCounts) -> dict[str, Any]:
    rows = {measure: [[_number(v) for v in row] for row in rows.tolist()] for measure, rows in image.rows.items()}
    told = {"image": image.name, "id": image.image_id, "missing": image.missing, "wrong_areas": image.wrong_areas}
    files = {"stamp": image.stamp, "truth": image.truth, "file_name": image.file_name}
    return {**told, **files, "columns": dict(image.columns), "rows": rows}


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
        wanted = "; expected a state file of `tfpanoptic evaluate --state`"
        raise InputError(f"{path}: cannot be read ({error.strerror}){wanted}") from None
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
        return Evaluation(
            categories,
            tuple(entry["measures"]),
            str(entry["source"]),
            total=int(entry["total"]),
            rules=tuple(map(str, entry.get("rules", ()))),
        )
    except InputError as error:
        raise InputError(f"{path}: a state file that cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: not a state file of `tfpanoptic evaluate --state`") from None


def _read_line(place: str, line: bytes, evaluation: Evaluation) -> ImageCounts:
    try:
        entry = json.loads(line)
        rows = {}
        for measure in evaluation.measures:
            columns = MEASURES[measure].columns
            rows[measure] = np.array(entry["rows"][measure], np.float64).reshape(-1, len(columns))
            for column, values in zip(columns, rows[measure].T, strict=True):
                _check_column(column, values, len(evaluation.categories))
        return ImageCounts(
            str(entry["image"]),
            rows,
            dict(entry["columns"]),
            bool(entry["missing"]),
            int(entry["wrong_areas"]),
            str(entry["stamp"]),
            _image_id(entry.get("id")),
            TruthPrint(*map(str, entry.get("truth", ()))),
            str(entry.get("file_name", "")),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise InputError(f"{place}: damaged; expected an image's counters, found {reprlib.repr(line[:60])}") from None


def _image_id(value: Any) -> int | str | None:
    """An image's id; None in the files of older versions.

    Raises:
        ValueError: it is something else.
    """
    if value is None or type(value) in (int, str):
        return value
    raise ValueError


def _check_column(column: str, values: np.ndarray, num_categories: int) -> None:
    """Refuses values that no measure counts.

    Raises:
        ValueError: there is one.
    """
    least, most = (-np.inf, np.inf) if column == "score" else (0, MOST)
    limits = {
        "category": (1, num_categories),
        "category_or_void": (0, num_categories),
        "predicted_category": (0, num_categories),
        "cause": (0, len(CAUSES) - 1),
        "size": (0, len(SIZES) - 1),
    }
    least, most = limits.get(column, (least, most))
    whole = column not in ("score", "iou", "covered", "weight")
    if not np.isfinite(values).all() or ((values < least) | (values > most) | (whole & (values % 1 != 0))).any():
        raise ValueError


def _require_same_start(path: Path, found: Evaluation, start: Evaluation) -> None:
    for what in ("rules", "categories", "measures", "source"):
        if getattr(found, what) != getattr(start, what):
            other = "files, another model or other settings" if what == "source" else what
            if what == "rules":
                other += f" ({'; '.join(found.rules) or 'the official ones'})"
            if what == "measures":
                other += f" ({', '.join(found.measures)}; now {', '.join(start.measures)})"
            raise InputError(
                f"{path}: holds an evaluation of other {other}; give another --state file, or delete this one"
            )
