"""Mask AP of COCO, judged by pycocotools one image at a time.

pycocotools evaluates each image's categories (`COCOeval.evaluateImg`); what it found becomes rows of numbers, so
nothing of the image is kept. The rows of all images are handed back to it as one image, and `COCOeval.accumulate`
gives the precision. The result is that of one COCOeval over the whole set, in the order of the rows: of detections
with equal scores the earlier one counts first. COCOeval takes the images in ascending order of their ids.

Crowds take part as COCO has it: a detection on a crowd is ignored. Detections are ranked by score, and at most 100 of
an image and category count. True areas, which say what is small, are those of the annotation; areas of detections
are pixels.

Source: pycocotools 2.0, `cocoeval.py`, default parameters of "segm"; https://cocodataset.org/#detection-eval.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.matching import SegmentPairs, sum_by_row
from tfpanoptic.rle import coco_masks, encode_mask
from tfpanoptic.segment_map import SegmentMap

# The area ranges of COCO, in its order: areas up to 32^2, between and from 96^2 pixels.
RANGES = ("all", "small", "medium", "large")
# A detection row (`detection` 1) holds under each range a bit for each IoU threshold at which it is matched, and above
# these a bit for each at which it is ignored. A truth row (0) holds how many truths of the range are not ignored.
COLUMNS = ("category", "detection", "score", *RANGES)
THRESHOLDS = 10
# Parts of an image that COCOeval gets at once: fewer cost calls, more cost comparisons. Measured on the nuclei.
PARTS = 8
NO_ROWS = np.zeros((0, len(COLUMNS)))
# COCOeval's key of an image; there is only one at a time.
IMAGE = 0


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """What COCOeval finds in one image for the things of two segment maps.

    IoU are those of the masks' pixels, void included, as pycocotools counts them.

    Returns:
        float64 `[R, 7]` with the columns `COLUMNS`; detections of a category in the order of their scores.

    Raises:
        InputError: pycocotools is not installed.
    """
    evaluator = _evaluator()
    truth, prediction = pairs.truth.segments, pairs.prediction.segments
    iou = _pixel_iou(pairs)
    rows = [NO_ROWS]
    for category in np.union1d(truth["category"], prediction["category"]).tolist():
        if not categories[category].isthing:
            continue
        true, found = (np.flatnonzero(side["category"] == category) for side in (truth, prediction))
        found = _ranked(evaluator, found, prediction["score"][found])
        truths = _truths(truth["iscrowd"][true].tolist(), truth["area"][true].tolist())
        detections = _detections(prediction["score"][found].tolist(), pairs.predicted_area[found].tolist())
        rows += _category_rows(evaluator, category, truths, detections, iou[np.ix_(found, true)])
    return np.concatenate(rows)


def count_instance_rows(
    truth: Sequence[dict[str, Any]], detections: Sequence[dict[str, Any]], categories: CategoryTable
) -> np.ndarray:
    """What COCOeval finds in one image for separate instances, whose masks may overlap.

    Args:
        truth: instances, dicts with `category` (our id), `segmentation` (a bool mask `[H, W]`, or the compressed RLE
            of `rle` and `instances`), and optionally `iscrowd` and `area` (else the pixels).
        detections: dicts with `category`, `segmentation` and `score`.
        categories: what the category ids mean.

    Returns:
        float64 `[R, 7]` with the columns `COLUMNS`, as of `count_rows`.

    Raises:
        InputError: pycocotools is not installed, a category is no thing, or masks differ in size.
    """
    evaluator, masks = _evaluator(), coco_masks()
    truth, detections = _encoded(truth), _encoded(detections)
    _check_instances([*truth, *detections], categories)
    rows = [NO_ROWS]
    for category in sorted({instance["category"] for instance in (*truth, *detections)}):
        true, found = ([entry for entry in side if entry["category"] == category] for side in (truth, detections))
        found = [found[row] for row in _ranked(evaluator, np.arange(len(found)), [entry["score"] for entry in found])]
        crowds = [bool(entry.get("iscrowd")) for entry in true]
        areas = [entry.get("area", int(masks.area(entry["segmentation"]))) for entry in true]
        scores = [float(entry["score"]) for entry in found]
        pixels = [int(masks.area(entry["segmentation"])) for entry in found]
        iou = masks.iou(*([entry["segmentation"] for entry in side] for side in (found, true)), crowds)
        iou = np.reshape(iou, (len(found), len(true)))  # without rows or columns it is a list
        rows += _category_rows(evaluator, category, _truths(crowds, areas), _detections(scores, pixels), iou)
    return np.concatenate(rows)


def instances_of_map(segment_map: SegmentMap, categories: CategoryTable) -> list[dict[str, Any]]:
    """The things of a segment map as instances that `count_instance_rows` takes, on either side.

    Raises:
        InputError: pycocotools is not installed.
    """
    columns = np.ascontiguousarray(segment_map.ids.T)  # RLE runs along columns
    return [
        {
            "category": int(row["category"]),
            "segmentation": encode_mask((columns == row["id"]).T),
            "iscrowd": bool(row["iscrowd"]),
            "area": float(row["area"]),
            "score": float(row["score"]),
        }
        for row in segment_map.segments
        if categories[int(row["category"])].isthing
    ]


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """Mask AP as fractions; None where there is no truth.

    Args:
        rows: float64 `[R, 7]` with the columns `COLUMNS`, those of all images in their order.
        categories: what the category ids mean.

    Returns:
        `{"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "per_category": {name: ap}}`; AP is the mean
        over the IoU thresholds 0.5, 0.55, .. 0.95 and, but for a category's own, over the things with truth.

    Raises:
        InputError: pycocotools is not installed.
    """
    evaluator, things = _evaluator(), categories.thing_ids
    parameters = evaluator.params
    parameters.imgIds, parameters.catIds = [IMAGE], list(things)
    # The limit was applied in every image, and these are the detections of all.
    parameters.maxDets = [max(1, len(rows))]
    by_category = {category: rows[rows[:, 0] == category] for category in things}
    evaluator.evalImgs = [_as_image(by_category[category], area) for category in things for area in range(len(RANGES))]
    evaluator._paramsEval = parameters
    with redirect_stdout(io.StringIO()):  # it reports its progress there
        evaluator.accumulate()
    precision = evaluator.eval["precision"][..., 0]  # [thresholds, recalls, categories, ranges]
    threshold = parameters.iouThrs
    return {
        "ap": _mean(precision[..., 0]),
        "ap50": _mean(precision[np.isclose(threshold, 0.5), ..., 0]),
        "ap75": _mean(precision[np.isclose(threshold, 0.75), ..., 0]),
        **{f"ap_{name}": _mean(precision[..., area]) for area, name in enumerate(RANGES) if area},
        "per_category": {categories[c].name: _mean(precision[:, :, k, 0]) for k, c in enumerate(things)},
    }


def _evaluator() -> Any:
    coco_masks()
    from pycocotools.cocoeval import COCOeval

    return COCOeval(iouType="segm")


def _ranked(evaluator: Any, rows: np.ndarray, scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """The rows in descending order of their scores, as many as COCOeval takes."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    return rows[order[: evaluator.params.maxDets[-1]]]


def _truths(crowds: Iterable[bool], areas: Iterable[float]) -> list[dict[str, Any]]:
    """Truths as COCOeval has them; ids count from 1, for a match with id 0 is none to it."""
    return [
        {"id": number, "iscrowd": crowd, "ignore": crowd, "area": area}
        for number, (crowd, area) in enumerate(zip(crowds, areas), start=1)
    ]


def _detections(scores: Iterable[float], areas: Iterable[float]) -> list[dict[str, Any]]:
    """Detections as COCOeval has them."""
    return [
        {"id": number, "score": score, "area": area} for number, (score, area) in enumerate(zip(scores, areas), start=1)
    ]


def _pixel_iou(pairs: SegmentPairs) -> np.ndarray:
    """IoU of every predicted with every true segment, float64 `[Q, T]`; of a crowd, the share of the predicted one.

    Source: pycocotools 2.0, `maskApi.c`, `rleIou`.
    """
    iou = np.zeros((len(pairs.prediction.segments), len(pairs.truth.segments)))
    t, p, intersection = pairs.true_row[pairs.both], pairs.predicted_row[pairs.both], pairs.area[pairs.both]
    true_area = sum_by_row(pairs.true_row, pairs.area, len(pairs.truth.segments))
    union = np.where(pairs.truth.segments["iscrowd"][t], 0, true_area[t] - intersection) + pairs.predicted_area[p]
    iou[p, t] = intersection / union
    return iou


def _category_rows(
    evaluator: Any, category: int, truths: list[dict], detections: list[dict], iou: np.ndarray
) -> list[np.ndarray]:
    """Rows of one category in one image; the detections are in the order of their scores."""
    parameters, bit = evaluator.params, 1 << np.arange(THRESHOLDS)
    counted = np.zeros(len(RANGES), np.int64)
    bits = np.zeros((len(detections), len(RANGES)), np.int64)
    for true, found in _separate(iou >= parameters.iouThrs[0]):
        evaluator._gts[IMAGE, category] = [truths[row] for row in true]
        evaluator._dts[IMAGE, category] = [detections[row] for row in found]
        evaluator.ious[IMAGE, category] = iou[np.ix_(found, true)]
        for column, area in enumerate(parameters.areaRng):
            entry = evaluator.evaluateImg(IMAGE, category, area, parameters.maxDets[-1])
            counted[column] += np.count_nonzero(entry["gtIgnore"] == 0)
            bits[found, column] = bit @ (entry["dtMatches"] != 0) + (bit @ entry["dtIgnore"] << THRESHOLDS)
    rows = []
    if counted.any():
        rows.append(np.array([[category, 0, 0, *counted]], np.float64))
    if detections:
        scores = [detection["score"] for detection in detections]
        rows.append(np.column_stack([np.full(len(scores), category), np.ones(len(scores)), scores, bits]))
    return rows


def _separate(overlap: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(truths, detections) of the parts that do not overlap each other, a few parts at a time; int64 rows in order.

    COCOeval compares every detection with every truth of its image and passes over those below the lowest
    threshold, so that parts alone give the same, and a dense image takes a fraction of the time.

    Args:
        overlap: bool `[D, G]`, the pairs that reach the lowest threshold.
    """
    count = len(overlap)
    part, previous = np.arange(count), None
    while previous is None or (part != previous).any():
        previous = part
        true_part = np.where(overlap, part[:, None], count).min(axis=0, initial=count)
        part = np.minimum(part, np.where(overlap, true_part, count).min(axis=1, initial=count))
    numbers = np.unique(np.append(part, true_part))
    for first in range(0, len(numbers), PARTS):
        chosen = numbers[first : first + PARTS]
        yield np.flatnonzero(np.isin(true_part, chosen)), np.flatnonzero(np.isin(part, chosen))


def _as_image(rows: np.ndarray, area: int) -> dict[str, Any] | None:
    """The rows of a category as COCOeval's record of one image and area range; None where it has none."""
    if len(rows) == 0:
        return None
    detected = rows[:, 1] == 1
    value = rows[:, 3 + area].astype(np.int64)
    bits = value[detected] >> np.arange(2 * THRESHOLDS)[:, None] & 1
    return {
        "dtScores": rows[detected, 2],
        "dtMatches": bits[:THRESHOLDS],
        "dtIgnore": bits[THRESHOLDS:],
        "gtIgnore": np.zeros(value[~detected].sum()),
    }


def _mean(precision: np.ndarray) -> float | None:
    """Mean of the precision where there is truth; COCOeval marks with -1 where there is none."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else None


def _encoded(instances: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The instances with their masks as RLE."""
    return [
        {**entry, "segmentation": mask if isinstance(mask, dict) else encode_mask(mask)}
        for entry in instances
        for mask in [entry["segmentation"]]
    ]


def _check_instances(instances: Sequence[dict[str, Any]], categories: CategoryTable) -> None:
    for instance in instances:
        if instance["category"] not in categories.thing_ids:
            raise InputError(
                f"an instance has category {instance['category']}, expected a thing: {categories.thing_ids}"
            )
    sizes = sorted({tuple(instance["segmentation"]["size"]) for instance in instances})
    if len(sizes) > 1:
        raise InputError(f"masks of one image differ in size: {', '.join('x'.join(map(str, size)) for size in sizes)}")
