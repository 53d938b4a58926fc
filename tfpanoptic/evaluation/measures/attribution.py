"""Why panoptic quality is lost: every missed and every wrong segment has one cause.

With D = TP + FP/2 + FN/2, what a category lacks to a PQ of 1 is (sum of (1 - IoU) over its matches + FP/2 + FN/2) / D.
So each missed and each wrong segment costs 1/(2 D), each match (1 - IoU)/D, and the costs add up to what is lost,
exactly. The mean over the categories keeps that.

Source: own choice, for the additive form of PQ (Kirillov et al. 2019, equation 1); the idea of fixing one kind of
error at a time is that of TIDE (Bolya et al. 2020), and 0.3 is its limit between a badly localised detection
and none (it says 0.1 for boxes; masks of IoU 0.1 to 0.3 mostly lie on other objects).
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.matching import SegmentPairs

COLUMNS = ("category", "cause", "iou", "tp", "fp", "fn")
# In the order in which a segment gets its cause; the first takes no segment, it is the IoU that matches lack.
CAUSES = ("imprecise", "wrong_category", "stuff_thing", "merged", "split", "boundary", "missed", "spurious")
IMPRECISE, WRONG_CATEGORY, STUFF_THING, MERGED, SPLIT, BOUNDARY, MISSED, SPURIOUS = range(len(CAUSES))
NO_ERROR = -1
LEAST_BOUNDARY_IOU = 0.3


def causes(pairs: SegmentPairs, categories: CategoryTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cause of each segment's error in one image.

    A missed and a wrong segment of different categories with IoU > 0.5 are one object of the wrong category (or stuff
    taken for a thing, or the reverse). Of one category: a prediction that covers more than half of each of
    several true segments merged them; several predictions that lie by more than half in one true segment split it;
    a pair with 0.3 < IoU <= 0.5 has a poor boundary, the best pairs first. What is left is missed or spurious.

    Returns:
        cause of the true segments, int64 `[T]`, and of the predicted ones, int64 `[Q]`, indices into `CAUSES` or
        `NO_ERROR`; and the IoU that a true segment has with a prediction of the wrong category, float64 `[T]`.
    """
    missed, wrong = pairs.matches.missed, pairs.matches.wrong
    of_true = np.where(missed, MISSED, NO_ERROR)
    of_predicted = np.where(wrong, SPURIOUS, NO_ERROR)
    with_iou = np.zeros(len(missed))
    if not (missed.any() or wrong.any()):
        return of_true, of_predicted, with_iou
    t, p = pairs.true_row[pairs.both], pairs.predicted_row[pairs.both]
    counted = ~pairs.truth.segments["iscrowd"][t]
    same = pairs.same_category & counted

    other = np.flatnonzero(~pairs.same_category & counted & (pairs.iou > 0.5) & missed[t] & wrong[p])
    true_thing = categories.isthing[pairs.truth.segments["category"][t[other]]]
    predicted_thing = categories.isthing[pairs.prediction.segments["category"][p[other]]]
    of_true[t[other]] = of_predicted[p[other]] = np.where(true_thing == predicted_thing, WRONG_CATEGORY, STUFF_THING)
    with_iou[t[other]] = pairs.iou[other]

    area = pairs.area[pairs.both]
    covers = same & (2 * area > pairs.truth.segments["area"][t])
    merges = covers & (np.bincount(p[covers], minlength=len(wrong)) > 1)[p]
    _assign(MERGED, of_true, t[merges], of_predicted, p[merges])
    piece = same & (2 * area > (pairs.predicted_area - pairs.on_void)[p])
    splits = piece & (np.bincount(t[piece], minlength=len(missed)) > 1)[t]
    _assign(SPLIT, of_true, t[splits], of_predicted, p[splits])

    close = np.flatnonzero(same & (pairs.iou > LEAST_BOUNDARY_IOU) & (pairs.iou <= 0.5))
    for pair in close[np.argsort(-pairs.iou[close], kind="stable")]:
        if of_true[t[pair]] == MISSED and of_predicted[p[pair]] == SPURIOUS:
            of_true[t[pair]] = of_predicted[p[pair]] = BOUNDARY
    return of_true, of_predicted, with_iou


def _assign(cause: int, of_true: np.ndarray, true_rows, of_predicted: np.ndarray, predicted_rows) -> None:
    """Sets the cause of those among the rows that are errors without one."""
    of_true[true_rows[of_true[true_rows] == MISSED]] = cause
    of_predicted[predicted_rows[of_predicted[predicted_rows] == SPURIOUS]] = cause


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """Matches and errors of one image by category and cause, float64 `[R, 6]` with the columns `COLUMNS`.

    `iou` is the sum over the matches, in the rows of `imprecise`, and the IoU with the wrong category where there is
    one. All missed and all wrong segments are in the rows of their cause.
    """
    of_true, of_predicted, with_iou = causes(pairs, categories)
    category, predicted_category = pairs.truth.segments["category"], pairs.prediction.segments["category"]
    matches = pairs.matches
    size = (len(categories) + 1) * len(CAUSES)
    table = np.zeros((size, 4))
    matched = category[matches.true_row] * len(CAUSES) + IMPRECISE
    table[:, 0] = np.bincount(matched, matches.iou, size)
    table[:, 1] = np.bincount(matched, minlength=size)
    key = category * len(CAUSES) + of_true
    errors = of_true != NO_ERROR
    table[:, 0] += np.bincount(key[errors], with_iou[errors], size)
    table[:, 3] = np.bincount(key[errors], minlength=size)
    errors = of_predicted != NO_ERROR
    table[:, 2] = np.bincount((predicted_category * len(CAUSES) + of_predicted)[errors], minlength=size)
    seen = np.flatnonzero(table[:, 1:].any(axis=1))
    return np.column_stack([seen // len(CAUSES), seen % len(CAUSES), table[seen]])


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """Lost PQ by cause, as fractions, and the PQ if one cause were fixed.

    Fixed means: an object of the wrong category matches with the IoU that it has; other missed segments match as
    well as the matches of their category do (its SQ; the mean SQ of the others where it has none); wrong segments are
    gone; for `imprecise`, every match has IoU 1. A category of nothing but wrong segments leaves the mean with them.

    Returns:
        `{"all": {"lost", "causes": {cause: {"lost", "if_fixed", "fp", "fn"}}}, "things": ..., "stuff": ...,
        "per_category": {name: the same}}`; `lost` is 1 - PQ, and those of the causes add up to it. None and no causes
        without segments.
    """
    table = np.zeros((len(categories) + 1, len(CAUSES), 4))
    np.add.at(table, (rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)), rows[:, 2:])
    groups = {"all": categories.ids, "things": categories.thing_ids, "stuff": categories.stuff_ids}
    sq = _segmentation_quality(table)
    return {
        **{group: _group(table, sq, np.array(ids, np.int64)) for group, ids in groups.items()},
        "per_category": {c.name: _group(table, sq, np.array([c.id])) for c in categories},
    }


def _segmentation_quality(table: np.ndarray) -> np.ndarray:
    """SQ by category, float64 `[C + 1]`; the mean of the others, or 1, for those without a match."""
    iou, tp = table[:, IMPRECISE, 0], table[:, IMPRECISE, 1]
    sq = iou / np.maximum(tp, 1)
    return np.where(tp > 0, sq, sq[tp > 0].mean() if (tp > 0).any() else 1.0)


def _group(table: np.ndarray, sq: np.ndarray, ids: np.ndarray) -> dict:
    """Losses and PQ after each fix, as the mean over those of `ids` that have segments."""
    iou, tp = table[ids, IMPRECISE, 0], table[ids, IMPRECISE, 1]
    fp, fn = table[ids, :, 2].sum(axis=1), table[ids, :, 3].sum(axis=1)
    weight = tp + 0.5 * (fp + fn)
    present = weight > 0
    if not present.any():
        return {"lost": None, "causes": {}}
    told = {}
    for number, cause in enumerate(CAUSES):
        cause_iou, _, cause_fp, cause_fn = table[ids, number].T
        if number == IMPRECISE:
            cost, fixed_iou, fixed_tp, fixed_weight = tp - iou, tp, tp, weight
        else:
            gained = cause_iou if number in (WRONG_CATEGORY, STUFF_THING) else sq[ids] * cause_fn
            cost, fixed_iou, fixed_tp = 0.5 * (cause_fp + cause_fn), iou + gained, tp + cause_fn
            fixed_weight = fixed_tp + 0.5 * (fp - cause_fp + fn - cause_fn)
        told[cause] = {
            "lost": float(np.mean(cost[present] / weight[present])),
            "if_fixed": _mean_quotient(fixed_iou, fixed_weight),
            "fp": int(cause_fp.sum()),
            "fn": int(cause_fn.sum()),
        }
    return {"lost": float(1 - np.mean(iou[present] / weight[present])), "causes": told}


def _mean_quotient(numerator: np.ndarray, denominator: np.ndarray) -> float | None:
    present = denominator > 0
    return float(np.mean(numerator[present] / denominator[present])) if present.any() else None
