"""Truth and prediction of images as files, paired and checked, in COCO panoptic format.

Source: the COCO panoptic API (`evaluation.py`): pairs are those of the truth's annotations by image id, and every one
needs a prediction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import (
    ImageEntry,
    parse_json,
    predicted_segments,
    read_annotations,
    read_images,
    read_lists,
)
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.data.segment_png import read_segment_ids
from tfpanoptic.errors import InputError, Problems, raise_first
from tfpanoptic.evaluation.state import plain_columns
from tfpanoptic.segment_map import SegmentMap, segment_rows


@dataclass(frozen=True, eq=False)
class SegmentFile:
    """A PNG of segment ids and its table, not yet read.

    Attributes:
        path: the PNG.
        segments: structured array `[N]` of dtype `SEGMENT`.
    """

    path: Path
    segments: np.ndarray

    def read(self) -> SegmentMap:
        """The segment map.

        Raises:
            InputError: the PNG cannot be read.
        """
        return SegmentMap(read_segment_ids(self.path), self.segments)


@dataclass(frozen=True, eq=False)
class FilePair:
    """Truth and prediction of one image.

    Attributes:
        name: of the image, one of its kind.
        image_id: the dataset's own id.
        height, width: in pixels, None where no file says it.
        truth: anything with `path` and `read()`.
        prediction: None where it is missing; its segments then count as missed.
        columns: what the table of images says of it: values of JSON that are no list or object.
        instances: separate instance results, see `pairs.instances`.
    """

    name: str
    image_id: int | str
    height: int | None
    width: int | None
    truth: Any
    prediction: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    instances: Any = None

    def files(self) -> list[Path]:
        """Truth and prediction, and those of separate instances."""
        own = [side.path for side in (self.truth, self.prediction) if side is not None]
        return own + ([] if self.instances is None else self.instances.files())

    def stamp(self) -> str:
        """Sizes and times of the files; it differs if one was changed.

        Raises:
            InputError: a file is missing.
        """
        return file_stamp(self.files())

    def read(self) -> tuple[SegmentMap, SegmentMap]:
        """Truth and prediction.

        Raises:
            InputError: a file cannot be read, or is of another size.
        """
        truth = self.truth.read()
        if self.height is not None and truth.shape != (self.height, self.width):
            raise InputError(
                f"{self.truth.path}: the PNG is {_size(truth)} (height x width), "
                f"the annotation says {self.height} x {self.width}"
            )
        if self.prediction is None:
            return truth, SegmentMap(np.zeros(truth.shape, np.int32), segment_rows([], []))
        prediction = self.prediction.read()
        if prediction.shape != truth.shape:
            raise InputError(
                f"{self.prediction.path}: the prediction is {_size(prediction)} (height x width), "
                f"the truth is {_size(truth)}"
            )
        return truth, prediction


@dataclass(frozen=True, eq=False)
class FileSet:
    """Pairs of files with what their categories mean.

    Attributes:
        categories: of truth and prediction.
        pairs: in the order of the truth.
        source: fingerprint of the JSON files.
        notes: what a person should know, a line each.
        total: number of pairs of the whole set, of which `pairs` may be a part; 0 if nobody says.
        without_score: predicted segments without a score, which AP takes for 1.
    """

    categories: CategoryTable
    pairs: tuple[FilePair, ...]
    source: str
    notes: tuple[str, ...] = ()
    total: int = 0
    without_score: int = 0


def read_coco_files(
    gt: str | Path, gt_dir: str | Path, pred: str | Path, pred_dir: str | Path, allow_missing: bool = False
) -> FileSet:
    """The pairs of two COCO panoptic JSONs with their PNGs; no pixel is read yet.

    Args:
        gt: the truth's JSON: images, annotations, categories.
        gt_dir: folder that its annotations' file names start from.
        pred: the prediction's JSON: annotations, whose segments need `id` and `category_id`; `score` is optional.
        pred_dir: folder of the predicted PNGs.
        allow_missing: take images without a prediction as such in which nothing was found.

    Raises:
        InputError: a file is missing or no panoptic JSON; or, told together: entries that are wrong, images without
            or with two predictions, PNGs that do not exist.
    """
    gt, gt_dir, pred, pred_dir = Path(gt), Path(gt_dir), Path(pred), Path(pred_dir)
    lists = read_lists(gt, raise_first(gt))
    categories = CategoryTable.from_coco(lists["categories"], str(gt))
    ids = {c.source_id: c.id for c in categories}
    problems = Problems("in the files")
    images = list(read_images(lists, ids, problems.of(gt)))
    if len(images) < len(lists["images"]):
        problems.check()  # predictions of images that are left out are no mistake
    predicted = read_predictions(pred, problems)
    notes = _category_notes(pred, predicted.categories, categories)
    own_annotations, pairing = _by_true_ids(pred, predicted, images)
    without_score = _scoreless(own_annotations.values())
    own_annotations = dict(own_annotations)
    listing = FolderListing()
    pairs, without = [], []
    for image in images:
        own = own_annotations.pop(image.image_id, None)
        with problems.noted():
            truth = SegmentFile(listing.require(gt_dir / image.png_name, gt), image.segments)
            prediction = None
            if own is None:
                without.append(image.file_name)
            else:
                path = listing.require(pred_dir / own["file_name"], pred)
                prediction = SegmentFile(path, predicted_segments(own, ids, problems.of(pred)))
            size, columns = (image.height, image.width), plain_columns(image.extra)
            pairs.append(FilePair(image.file_name, image.image_id, *size, truth, prediction, columns))
    if own_annotations:
        strange = next(iter(own_annotations))
        problems.add(
            f"{pred}: {len(own_annotations)} predictions of images that the truth does not list, "
            f"first image_id {strange!r}"
        )
    check_pairs(pairs, without, str(pred), problems, allow_missing)
    if without:
        notes.append(missing_note(without))
    notes += pairing
    return FileSet(categories, tuple(pairs), fingerprint([gt, pred]), tuple(notes), len(pairs), without_score)


def check_pairs(pairs: list, without: list[str], pred: str, problems: Problems, allow_missing: bool) -> None:
    """Raises what was wrong, and what is missing unless that is allowed.

    Raises:
        InputError: there are problems, images without a prediction, or no image at all.
    """
    if without and not allow_missing:
        problems.add(
            f"{pred}: no prediction for {len(without)} of {len(pairs)} images, first {without[0]}; "
            "--allow-missing counts their segments as missed"
        )
    problems.check()
    if not pairs:
        raise InputError("no image to evaluate: the truth lists none")


def missing_note(without: list[str]) -> str:
    """The line for a person about images without a prediction."""
    return f"{len(without)} images without a prediction, their segments counted as missed, first {without[0]}"


@dataclass(frozen=True)
class Predictions:
    """The entries of a prediction's JSON: annotations by image id; images and categories, empty if it has none."""

    annotations: dict[int | str, dict]
    images: list
    categories: list


def read_predictions(path: Path, problems: Problems) -> Predictions:
    """The annotations of a prediction's JSON by image id; wrong ones go to `problems`."""
    content = parse_json(path)
    if isinstance(content, list):
        hint = "; a list is the format of instance results" if content and isinstance(content[0], dict) else ""
        raise InputError(f"{path}: expected a COCO panoptic JSON with the list annotations, found a list{hint}")
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise InputError(f"{path}: expected a COCO panoptic JSON with the list annotations")
    annotations = read_annotations(content["annotations"], problems.of(path))
    images, categories = (content.get(key) for key in ("images", "categories"))
    return Predictions(
        annotations, images if isinstance(images, list) else [], categories if isinstance(categories, list) else []
    )


def _by_true_ids(
    path: Path, predicted: Predictions, images: list[ImageEntry]
) -> tuple[dict[int | str, dict], list[str]]:
    """The predicted annotations by the truth's image ids, and a note if its own `images` have other ids for the names.

    Tools that know nothing of the truth number their images as they come.
    """
    named = [i for i in predicted.images if isinstance(i, dict) and i.get("file_name") is not None]
    names = {i["id"]: str(i["file_name"]) for i in named if isinstance(i.get("id"), int | float | str)}
    own = {image_id: names.get(image_id) for image_id in predicted.annotations}
    true_ids = {image.file_name: image.image_id for image in images}
    true_names = {image.image_id: image.file_name for image in images}
    agree = all(name is None or true_names.get(image_id, name) == name for image_id, name in own.items())
    if agree and not any(name in true_ids and image_id not in true_names for image_id, name in own.items()):
        return predicted.annotations, []
    if len({name for name in own.values() if name in true_ids}) < len(own):
        raise InputError(
            f"{path}: gives images other file names than the truth has for their ids, and not all of them are in the "
            "truth; give both sides the same ids or names"
        )
    note = f"{path}: its image ids are not the truth's; paired by the file names in its list images"
    return {true_ids[str(own[image_id])]: entry for image_id, entry in predicted.annotations.items()}, [note]


def _scoreless(annotations: Iterable[dict]) -> int:
    """How many segments have no score."""
    return sum(
        isinstance(segment, dict) and "score" not in segment
        for annotation in annotations
        for segment in annotation["segments_info"]
    )


def _category_notes(path: Path, entries: list, categories: CategoryTable) -> list[str]:
    """A line if the prediction's JSON gives an id another name than the truth does: the usual cause of a PQ of 0."""
    own = {e.get("id"): e.get("name") for e in entries if isinstance(e, dict) and isinstance(e.get("id"), int)}
    other = [(c, own[c.source_id]) for c in categories if own.get(c.source_id, c.name) != c.name]
    if not other:
        return []
    (first, name), more = other[0], f", and {len(other) - 1} more" if len(other) > 1 else ""
    return [
        f"{path}: category {first.source_id} is {name!r}, in the truth it is {first.name!r}{more}; "
        "categories are compared by id, as the official evaluation does"
    ]


def file_stamp(paths: Iterable[Path]) -> str:
    """Sizes and times of files.

    Raises:
        InputError: one cannot be found.
    """
    try:
        found = [path.stat() for path in paths]
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return " ".join(f"{status.st_size}-{status.st_mtime_ns}" for status in found)


def fingerprint(files: Iterable[str | Path], names: Iterable[str] = ()) -> str:
    """A text that differs for other contents of the files, or other names."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    for name in names:
        digest.update(name.encode() + b"\n")
    return digest.hexdigest()


def _size(segment_map: SegmentMap) -> str:
    return " x ".join(map(str, segment_map.shape))
