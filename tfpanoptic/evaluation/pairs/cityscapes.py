"""Truth and prediction in the Cityscapes layout: `gtFine/val/CITY/CITY_SEQUENCE_FRAME_gtFine_instanceIds.png`.

The truth is read as the Cityscapes scripts turn it into panoptic images; a prediction is a panoptic JSON with its PNGs,
as the benchmark takes it, or a folder of PNGs of instance ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tfpanoptic.data.cityscapes_ids import cityscapes_categories, image_key, read_instance_ids
from tfpanoptic.data.coco_json import predicted_segments
from tfpanoptic.data.folder_listing import FolderListing, files_below
from tfpanoptic.data.train_ids import read_predicted_ids, refuse_train_ids
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.evaluation.pairs.coco import (
    FilePair,
    FileSet,
    SegmentFile,
    beyond_truth,
    check_pairs,
    fingerprint,
    read_coco_files,
    read_predictions,
    zero_notes,
)
from tfpanoptic.segment_map import SegmentMap

TRUTH_SUFFIX = "_gtFine_instanceIds.png"


@dataclass(frozen=True)
class InstanceIdsFile:
    """A PNG of instance ids, not yet read.

    Attributes:
        path: the PNG.
        truth: of a prediction, the truth's PNG of the same image; None for a truth.
    """

    path: Path
    truth: Path | None = None

    def read(self) -> SegmentMap:
        """The segment map.

        Raises:
            InputError: the PNG cannot be read, or is in train ids.
        """
        return read_instance_ids(self.path, True) if self.truth is None else read_predicted_ids(self.path, self.truth)


def read_cityscapes_files(
    gt: str | Path | None,
    gt_dir: str | Path,
    pred: str | Path | None,
    pred_dir: str | Path,
    allow_missing: bool = False,
    subset: bool = False,
    pixel_areas: bool = False,
) -> FileSet:
    """The pairs of the Cityscapes layout; the images' table gets a column `city`.

    Args:
        gt: `cityscapes_panoptic_val.json`, for a `gt_dir` of panoptic PNGs; None for one of instance ids.
        gt_dir: folder of the truth; instance ids are found in all folders below it.
        pred: the prediction's panoptic JSON; None for a `pred_dir` of instance ids.
        pred_dir: folder of the predicted PNGs; instance ids are found in all folders below it, by the
            `city_sequence_frame` that their names start with.
        allow_missing: take images without a prediction as such in which nothing was found.
        subset: pass over predictions of images that the truth does not have; as in `coco.read_coco_files`.
        pixel_areas: as in `coco.read_coco_files`, for a truth in JSON.

    Raises:
        InputError: as `coco.read_coco_files`; or a folder without such PNGs.
    """
    if gt is not None:
        if pred is None:
            raise InputError("a truth in panoptic JSON (--gt) needs a prediction in panoptic JSON (--pred)")
        files = read_coco_files(gt, gt_dir, pred, pred_dir, allow_missing, subset, pixel_areas)
        return replace(files, pairs=tuple(map(_with_city, files.pairs)))
    problems = Problems("in the files")
    predicted: Mapping[str, InstanceIdsFile | SegmentFile]
    truth = _instance_ids(Path(gt_dir), f"*{TRUTH_SUFFIX}", problems)
    if pred is None:
        found = _instance_ids(Path(pred_dir), "*.png", problems)
        predicted = {key: replace(file, truth=truth[key].path) if key in truth else file for key, file in found.items()}
    else:
        predicted = _panoptic_pngs(Path(pred), Path(pred_dir), truth, problems)
    notes = beyond_truth(sorted(set(predicted) - set(truth)), str(pred or pred_dir), problems, subset)
    pairs = [_with_city(FilePair(key, key, None, None, truth[key], predicted.get(key))) for key in sorted(truth)]
    notes += check_pairs(pairs, str(pred or pred_dir), problems, allow_missing)
    if pred is not None:
        notes += zero_notes(Path(pred), pairs)
    return FileSet(
        cityscapes_categories(),
        tuple(pairs),
        fingerprint([pred] if pred else [], sorted(str(file.path) for file in [*truth.values(), *predicted.values()])),
        tuple(notes),
        len(pairs),
        sum(isinstance(pair.prediction, InstanceIdsFile) for pair in pairs),
    )


def _instance_ids(folder: Path, pattern: str, problems: Problems) -> dict[str, InstanceIdsFile]:
    """Files of instance ids below a folder, by image; two of one image go to `problems`."""
    files: dict[str, InstanceIdsFile] = {}
    for path in files_below(folder, pattern):
        key = image_key(f"{path.stem}_")
        if key is None:
            continue
        if key in files:
            problems.add(f"{path}: a second file for image {key}, after {files[key].path}")
            continue
        files[key] = InstanceIdsFile(path)
    if not files:
        raise InputError(f"{folder}: no file CITY_SEQUENCE_FRAME{pattern.replace('*', '_*', 1)} in it or below")
    return files


def _panoptic_pngs(
    pred: Path, pred_dir: Path, truth: Mapping[str, InstanceIdsFile], problems: Problems
) -> dict[str, SegmentFile]:
    """Predicted panoptic PNGs by image.

    Raises:
        InputError: the JSON cannot be used, or has ids of no category that agree with the truth as train ids.
    """
    categories = cityscapes_categories()
    ids = {c.source_id: c.id for c in categories}
    listing, files, strange = FolderListing(), {}, []
    for image_id, annotation in read_predictions(pred, problems).annotations.items():
        with problems.noted():
            path = listing.require(pred_dir / annotation["file_name"], pred)
            before = len(problems.messages)
            files[str(image_id)] = SegmentFile(path, predicted_segments(annotation, ids, problems.of(pred)))
            if len(problems.messages) > before and str(image_id) in truth:
                strange.append((path, annotation, truth[str(image_id)]))
    refuse_train_ids(pred, strange, categories)
    return files


def _with_city(pair: FilePair) -> FilePair:
    """The pair with its city, whether or not the name has a folder before it."""
    return replace(pair, columns={**pair.columns, "city": PurePosixPath(pair.name).name.split("_")[0]})
