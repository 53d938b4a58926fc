"""Truth and prediction of images as files, paired and checked, in COCO panoptic format.

Source: the COCO panoptic API (`evaluation.py`): pairs are those of the truth's annotations by image id, and every one
needs a prediction.
"""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import (
    MAX_SEGMENT_ID,
    ImageEntry,
    has_score,
    parse_json,
    predicted_segments,
    read_annotations,
    read_images,
    read_lists,
)
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.data.segment_png import read_segment_ids
from tfpanoptic.data.train_ids import refuse_train_ids
from tfpanoptic.errors import InputError, Problems, raise_first
from tfpanoptic.evaluation.pairs.categories import evaluated_categories
from tfpanoptic.evaluation.pairs.distinct_names import distinct_names
from tfpanoptic.evaluation.pairs.pairing import ImageId, Predictions, by_true_ids
from tfpanoptic.evaluation.pairs.truth_lists import Alone, without_areas
from tfpanoptic.evaluation.state import plain_columns
from tfpanoptic.segment_map import SegmentMap, segment_rows

# What no three bytes of a PNG pixel hold.
ZERO_ID = MAX_SEGMENT_ID + 1


@dataclass(frozen=True, eq=False)
class SegmentFile:
    """A PNG of segment ids and its table, not yet read.

    Attributes:
        path: the PNG.
        segments: structured array `[N]` of dtype `SEGMENT`. The id 0 may be among them, in a prediction: the official
            tool takes pixels of 0 for void only where the JSON does not list them.
    """

    path: Path
    segments: np.ndarray

    def read(self) -> SegmentMap:
        """The segment map; a segment of id 0 gets the id `ZERO_ID`, for 0 is void in it.

        Raises:
            InputError: the PNG cannot be read, or has no pixel of the id 0 that is listed.
        """
        ids, rows = read_segment_ids(self.path), self.segments
        zero = rows["id"] == 0
        if zero.any():
            if ids.all():
                raise InputError(f"{self.path}: lists segment 0, which has no pixel")
            ids, rows = np.where(ids == 0, np.int32(ZERO_ID), ids), rows.copy()
            rows["id"][zero] = ZERO_ID
        return SegmentMap(ids, rows)


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
        more_files: what truth and prediction are read from beside their `path`.
        file_name: of the photo, which another image may share; empty where it is `name`.
    """

    name: str
    image_id: int | str
    height: int | None
    width: int | None
    truth: Any
    prediction: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    instances: Any = None
    more_files: tuple[Path, ...] = ()
    file_name: str = ""

    @property
    def photo_name(self) -> str:
        """What the table of images calls the photo."""
        return self.file_name or self.name

    def files(self) -> list[Path]:
        """Truth and prediction, and those of separate instances."""
        own = [*(side.path for side in (self.truth, self.prediction) if side is not None), *self.more_files]
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
    gt: str | Path,
    gt_dir: str | Path,
    pred: str | Path,
    pred_dir: str | Path,
    allow_missing: bool = False,
    subset: bool = False,
    pixel_areas: bool = False,
) -> FileSet:
    """The pairs of two COCO panoptic JSONs with their PNGs; no pixel is read yet.

    Args:
        gt: the truth's JSON: images, annotations, categories.
        gt_dir: folder that its annotations' file names start from.
        pred: the prediction's JSON: annotations, whose segments need `id` and `category_id`; `score` is optional.
        pred_dir: folder of the predicted PNGs.
        allow_missing: take images without a prediction as such in which nothing was found.
        subset: pass over what only one list has: predictions of images that the truth does not annotate, and images
            of the truth without an annotation or annotations without an image. A note tells how many.
        pixel_areas: read no areas of the truth, which may be wrong or missing then, for `Rules.pixel_areas` to count
            them; they are 0.

    Raises:
        InputError: a file is missing or no panoptic JSON; category ids are train ids of Cityscapes; or, told together:
            entries that are wrong, images without or with two predictions, PNGs that do not exist.
    """
    gt, gt_dir, pred, pred_dir = Path(gt), Path(gt_dir), Path(pred), Path(pred_dir)
    lists = read_lists(gt, raise_first(gt))
    categories, notes = evaluated_categories(lists["categories"], str(gt))
    ids = {c.source_id: c.id for c in categories}
    if pixel_areas:
        lists = {**lists, "annotations": [without_areas(annotation) for annotation in lists["annotations"]]}
    problems, alone = Problems("in the files"), Alone(gt, subset)
    images = list(read_images(lists, ids, alone.sink(problems)))
    notes += alone.tell(problems)
    if len(images) < len(lists["images"]):
        problems.check()  # predictions of images that are left out are no mistake
    if subset and not images and (lists["images"] or lists["annotations"]):
        counts = f"{len(lists['images'])} images and {len(lists['annotations'])} annotations"
        raise InputError(f"{gt}: no image to evaluate: it lists {counts}, and no annotation has the id of an image")
    predicted = read_predictions(pred, problems)
    notes += _category_notes(pred, predicted.categories, lists["categories"])
    paired = by_true_ids(str(pred), predicted, images)
    listing, names = FolderListing(), _unique_names(images)
    pairs, strange = [], []
    for image, name in zip(images, names, strict=True):
        own = paired.annotations.get(image.image_id)
        with problems.noted():
            truth = SegmentFile(listing.require(gt_dir / image.png_name, gt), image.segments)
            prediction = None
            if own is not None:
                path = listing.require(pred_dir / own["file_name"], pred)
                before = len(problems.messages)
                prediction = SegmentFile(path, predicted_segments(own, ids, problems.of(pred)))
                if len(problems.messages) > before:
                    strange.append((path, own, truth))
            size, columns = (image.height, image.width), plain_columns(image.extra)
            pair = FilePair(name, image.image_id, *size, truth, prediction, columns, file_name=image.file_name)
            pairs.append(pair)
    refuse_train_ids(pred, strange, categories)
    notes += beyond_truth(paired.beyond, str(pred), problems, subset)
    notes += check_pairs(pairs, str(pred), problems, allow_missing)
    notes += [*paired.notes, *zero_notes(pred, pairs)]
    scoreless = _scoreless(paired.annotations.values())
    return FileSet(categories, tuple(pairs), fingerprint([gt, pred]), tuple(notes), len(pairs), scoreless)


def beyond_truth(names: Sequence[ImageId], pred: str, problems: Problems, subset: bool) -> list[str]:
    """The note about predictions of images that the truth does not have; a problem, if `subset` is false.

    Args:
        names: of these images, or their ids.
        pred: where the predictions are.
        problems: takes what is wrong.
        subset: whether they are passed over.
    """
    if not names:
        return []
    line = f"{pred}: {len(names)} predictions of images that the truth does not have, first {names[0]!r}"
    if subset:
        return [f"{line}; passed over"]
    problems.add(f"{line}; --subset passes over them")
    return []


def check_pairs(pairs: Sequence[FilePair], pred: str, problems: Problems, allow_missing: bool) -> list[str]:
    """The note about images without a prediction, if that is allowed and there are some; raises what was wrong.

    Raises:
        InputError: there are problems, images without a prediction, or no image at all.
    """
    without = [pair.name for pair in pairs if pair.prediction is None]
    if without and not allow_missing:
        problems.add(
            f"{pred}: no prediction for {len(without)} of {len(pairs)} images, first {without[0]}; "
            "--allow-missing counts their segments as missed"
        )
    problems.check()
    if not pairs:
        raise InputError("no image to evaluate: the truth lists none")
    if not without:
        return []
    return [f"{len(without)} images without a prediction, their segments counted as missed, first {without[0]}"]


def read_predictions(path: Path, problems: Problems) -> Predictions:
    """The annotations of a prediction's JSON by image id; wrong ones go to `problems`."""
    content = parse_json(path)
    if isinstance(content, list):
        hint = "; a list is the format of instance results" if content and isinstance(content[0], dict) else ""
        raise InputError(f"{path}: expected a COCO panoptic JSON with the list annotations, found a list{hint}")
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise InputError(f"{path}: expected a COCO panoptic JSON with the list annotations")
    annotations = read_annotations(content["annotations"], problems.of(path))
    images, categories, info = (content.get(key) for key in ("images", "categories", "info"))
    return Predictions(
        annotations,
        images if isinstance(images, list) else [],
        categories if isinstance(categories, list) else [],
        info if isinstance(info, dict) else {},
    )


def _unique_names(images: Sequence[ImageEntry]) -> list[str]:
    """The file name of each image; images of one name get their ids beside it."""
    return distinct_names([i.file_name for i in images], [f"(id {i.image_id!r})" for i in images])


def zero_notes(pred: Path, pairs: Iterable[FilePair]) -> list[str]:
    """A line if the prediction lists segments of id 0."""
    zeros = [pair.name for pair in pairs if pair.prediction is not None and (pair.prediction.segments["id"] == 0).any()]
    if not zeros:
        return []
    return [
        f"{pred}: lists a segment of id 0 in {len(zeros)} images, first {zeros[0]}; counted as a segment, as the "
        "official evaluation does"
    ]


def _scoreless(annotations: Iterable[dict]) -> int:
    """How many segments have no score."""
    return sum(
        isinstance(segment, dict) and not has_score(segment)
        for annotation in annotations
        for segment in annotation["segments_info"]
    )


def _category_notes(path: Path, own: list, true: list) -> list[str]:
    """A line if the prediction's JSON gives an id another name than the truth does: the usual cause of a PQ of 0."""
    own_names, true_names = _names_by_id(own), _names_by_id(true)
    other = [key for key, name in true_names.items() if own_names.get(key, name) != name]
    if not other:
        return []
    first, more = other[0], f", and {len(other) - 1} more" if len(other) > 1 else ""
    return [
        f"{path}: category {first} is {reprlib.repr(own_names[first])}, in the truth it is "
        f"{reprlib.repr(true_names[first])}{more}; categories are compared by id, as the official evaluation does"
    ]


def _names_by_id(entries: list) -> dict[int, Any]:
    """What the entries of a list of categories give as name, by id."""
    return {e["id"]: e.get("name") for e in entries if isinstance(e, dict) and isinstance(e.get("id"), int | float)}


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
