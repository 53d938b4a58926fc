"""Instance AP by the rules of Cityscapes, which are not COCO's.

- A predicted instance matches a true one of its class if their IoU is above the threshold: plain IoU of the masks,
  void included. Truth is every thing that is no group and has 100 pixels or more; areas are pixels.
- Of several predictions that match one truth, the one with the highest score is right and the others are wrong.
- A prediction that matches nothing is wrong, unless more than the threshold's share of it lies on void, on groups
  of its class and on truths of its class that are too small. A small group counts twice.
- A prediction that matches a group or a truth that is too small is neither right nor wrong.
- AP is the sum of precision times half the difference of the neighbouring recalls, at every score that occurs, over
  all images; neither interpolated nor made to fall. A class without any prediction has 0; one without truth none.
- AP of all is the mean over classes with truth and the thresholds 0.5, 0.55, .. 0.95.

Void is id 0 of the truth. The official tool takes the pixels of single caravans and trailers for no void and no
instance, so that a prediction on them is wrong; panoptic images have them as void. For the tool's number give the truth
of `count_instance_rows` ids without a row there.

Source: cityscapesScripts 2.3, `evaluation/evalInstanceLevelSemanticLabeling.py`, without its distance limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.matching import SegmentPairs, sum_by_row
from tfpanoptic.segment_map import SegmentMap, extents, rows_of

# A prediction row has `truths` 0, and a bit for each threshold at which it is right and at which it is wrong. A truth
# row has the number of truths and nothing else.
COLUMNS = ("category", "score", "right", "wrong", "truths")
# The values that `numpy.arange(0.5, 1.0, 0.05)` has to the last bit; some are a hair above the decimal.
THRESHOLDS = np.arange(0.5, 1.0, 0.05)
SMALLEST_TRUTH = 100  # pixels


@dataclass(frozen=True)
class _Overlaps:
    """The pixels of one image's predictions, by the truth they lie on.

    T segments of the truth, N predictions, P pairs that share pixels.

    Attributes:
        truth: the table of segments, `[T]`.
        true_area: int64 `[T]`, pixels.
        category, score, area, on_void: of each prediction, `[N]`; areas in pixels.
        true_row, prediction, intersection: int64 `[P]`; the true row is -1 off every segment.
    """

    truth: np.ndarray
    true_area: np.ndarray
    category: np.ndarray
    score: np.ndarray
    area: np.ndarray
    on_void: np.ndarray
    true_row: np.ndarray
    prediction: np.ndarray
    intersection: np.ndarray


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """Right and wrong things of a segment map.

    Returns:
        float64 `[R, 5]` with the columns `COLUMNS`; predictions that never count are left out.
    """
    predicted = pairs.prediction.segments
    overlaps = _Overlaps(
        truth=pairs.truth.segments,
        true_area=sum_by_row(pairs.true_row, pairs.area, len(pairs.truth.segments)),
        category=predicted["category"],
        score=predicted["score"],
        area=pairs.predicted_area,
        on_void=pairs.on_void,
        true_row=pairs.true_row[pairs.both],
        prediction=pairs.predicted_row[pairs.both],
        intersection=pairs.area[pairs.both],
    )
    return _rows(overlaps, categories)


def count_instance_rows(
    truth: SegmentMap, predictions: Iterable[tuple[int, float, np.ndarray]], categories: CategoryTable
) -> np.ndarray:
    """Right and wrong predictions of one image, whose masks may overlap.

    Args:
        truth: of the image.
        predictions: (category id, score, bool mask `[H, W]`) of each; an empty mask is passed over.
        categories: what the category ids mean.

    Returns:
        float64 `[R, 5]` with the columns `COLUMNS`; predictions that never count are left out.

    Raises:
        InputError: a category is no thing, or a mask has another size than the truth.
    """
    table: list[tuple[float, ...]] = []
    true_id: list[int] = []
    prediction: list[int] = []
    intersection: list[int] = []
    for category, score, mask in predictions:
        if category not in categories.thing_ids:
            raise InputError(f"a prediction has category {category}, expected a thing: {categories.thing_ids}")
        if mask.shape != truth.shape:
            raise InputError(f"a predicted mask is {mask.shape} pixels (height, width), truth is {truth.shape}")
        ids, pixels = np.unique(truth.ids[mask], return_counts=True)
        if ids.size:
            true_id += ids.tolist()
            prediction += [len(table)] * len(ids)
            intersection += pixels.tolist()
            table.append((category, score, pixels.sum(), pixels[ids == 0].sum()))
    columns = np.array(table, np.float64).reshape(-1, 4)
    true_row = rows_of(truth.segments["id"], np.array(true_id, np.int64))
    known = true_row >= 0
    overlaps = _Overlaps(
        truth=truth.segments,
        true_area=extents(truth.ids).of(truth.segments["id"]).areas,
        category=columns[:, 0],
        score=columns[:, 1],
        area=columns[:, 2],
        on_void=columns[:, 3],
        true_row=true_row[known],
        prediction=np.array(prediction, np.int64)[known],
        intersection=np.array(intersection, np.int64)[known],
    )
    return _rows(overlaps, categories)


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """AP as fractions; None where there is no truth.

    Args:
        rows: float64 `[R, 5]` with the columns `COLUMNS`, those of all images.
        categories: what the category ids mean.

    Returns:
        `{"ap", "ap50", "per_category": {name: {"ap", "ap50"}}}`, the categories being things. The official tool
        breaks off where every prediction of a class is excused; here the class has 0.
    """
    ap = {categories[c].name: _average_precision(rows[rows[:, 0] == c]) for c in categories.thing_ids}
    per_category = {name: _means([values] if values is not None else []) for name, values in ap.items()}
    return {**_means([values for values in ap.values() if values is not None]), "per_category": per_category}


def _rows(overlaps: _Overlaps, categories: CategoryTable) -> np.ndarray:
    """Rows of one image."""
    truth, category = overlaps.truth, overlaps.category
    counted = ~truth["iscrowd"] & (overlaps.true_area >= SMALLEST_TRUTH)
    right, wrong = _judge(overlaps, counted)
    truths = np.bincount(truth["category"][counted], minlength=len(categories) + 1)
    present = [c for c in categories.thing_ids if truths[c]]
    judged = np.flatnonzero(((right | wrong) > 0) & categories.isthing[category.astype(np.int64)])
    rows = np.zeros((len(present) + len(judged), len(COLUMNS)))
    true_rows, predicted_rows = rows[: len(present)], rows[len(present) :]
    true_rows[:, 0], true_rows[:, 4] = present, truths[present]
    predicted_rows[:, :4] = np.stack([category[judged], overlaps.score[judged], right[judged], wrong[judged]], axis=1)
    return rows


def _judge(overlaps: _Overlaps, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bits of the thresholds at which each prediction is right, and is wrong; two int64 `[N]`.

    Args:
        overlaps: of the image.
        counted: bool `[T]`, the truths that are no group and large enough.
    """
    truth, true_area, category = overlaps.truth, overlaps.true_area, overlaps.category
    same = truth["category"][overlaps.true_row] == category[overlaps.prediction]
    t, p, intersection = (column[same] for column in (overlaps.true_row, overlaps.prediction, overlaps.intersection))
    iou = intersection / (true_area[t] + overlaps.area[p] - intersection)
    excuses = truth["iscrowd"].astype(np.int64) + (true_area < SMALLEST_TRUTH)
    excused = overlaps.on_void + sum_by_row(p, intersection * excuses[t], len(category))

    # Truths do not overlap, so only one of them can reach half the IoU with a prediction.
    reached = np.zeros(len(category), np.int64)
    above = np.flatnonzero(iou > THRESHOLDS[0])
    reached[p[above]] = _bits(iou[above, None] > THRESHOLDS)
    wrong = _bits((excused / overlaps.area)[:, None] <= THRESHOLDS) & ~reached
    right = np.zeros(len(category), np.int64)
    above = above[counted[t[above]]]
    taken = np.zeros(len(truth), np.int64)
    for pair in above[np.argsort(-overlaps.score[p[above]], kind="stable")]:
        true, found = t[pair], p[pair]
        right[found] = reached[found] & ~taken[true]
        wrong[found] |= reached[found] & taken[true]
        taken[true] |= reached[found]
    return right, wrong


def _average_precision(rows: np.ndarray) -> np.ndarray | None:
    """AP of one category at each threshold, float64 `[10]`; None without truth."""
    _, score, right, wrong, truths = rows.T
    if not truths.any():
        return None
    scores, level = np.unique(score, return_inverse=True)
    shift = np.arange(len(THRESHOLDS))[:, None]
    ap = np.zeros(len(THRESHOLDS))
    for threshold, (rights, wrongs) in enumerate(
        zip(right.astype(np.int64) >> shift & 1, wrong.astype(np.int64) >> shift & 1)
    ):
        at_score = np.stack([np.bincount(level, bits, len(scores)) for bits in (rights, wrongs)])
        at_score = at_score[:, at_score.any(axis=0)]
        found, false = np.cumsum(at_score[:, ::-1], axis=1)[:, ::-1]  # with this score or a higher one
        precision = np.append(found / (found + false), 1.0)
        recall = np.append(found / truths.sum(), 0.0)
        neighbours = np.concatenate([recall[:1], recall, [0.0]])
        ap[threshold] = precision @ (neighbours[:-2] - neighbours[2:]) / 2
    return ap


def _means(ap: list[np.ndarray]) -> dict[str, float | None]:
    """AP and AP50 of categories, each float64 `[10]`; None where there are none."""
    return {"ap": float(np.mean(ap)), "ap50": float(np.mean(ap, axis=0)[0])} if ap else {"ap": None, "ap50": None}


def _bits(values: np.ndarray) -> np.ndarray:
    """int64 `[N]` with a bit for each of the columns of bool `[N, 10]`."""
    return values @ (1 << np.arange(values.shape[1]))
