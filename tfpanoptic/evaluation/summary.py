"""All numbers of an evaluation, as one dict that JSON can hold."""

from __future__ import annotations

from typing import Any

from tfpanoptic.data.train_ids import confusion_agreement
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.bootstrap import pq_intervals, quality_by_image
from tfpanoptic.evaluation.measures import MEASURES
from tfpanoptic.evaluation.state import Evaluation

# A column of texts that all differ has as many values as there are images.
MOST_VALUES = 100


def summarize(evaluation: Evaluation, by: str | None = None) -> dict[str, Any]:
    """The numbers of every measure, as fractions.

    Args:
        evaluation: of at least one image.
        by: a column of the images' table; the numbers of the images of each of its values are told, too.

    Returns:
        `{"rules", "images", "total", "missing", "wrong_areas"}`, what is counted otherwise than the official
        evaluation does, the number of images, of all that belong to the evaluation,
        of those without a prediction, and of true
        segments whose area is not the number of their pixels; `{measure: ...}` as its `summarize_rows` gives,
        `pq_interval` as `bootstrap.pq_intervals` and `per_image` as `bootstrap.quality_by_image` give, and
        `by`: `{value: {"images", measure: ...}}`. `train_ids`, only where predictions for Cityscapes look like them:
        shares of the pixels with a label that is a train id, too, that agree with the truth, `as_train_ids` and
        `as_label_ids`.

    Raises:
        InputError: no image, no image has the column, or it has more than 100 values.
    """
    if not len(evaluation):
        raise InputError("no image to summarize: the evaluation holds none")
    summary = {"rules": list(evaluation.rules), **_numbers(evaluation)}
    if "pq" in evaluation.measures:
        summary["pq_interval"] = pq_intervals(evaluation)
        summary["per_image"] = quality_by_image(evaluation)
    suspected = _train_ids(evaluation)
    if suspected is not None:
        summary["train_ids"] = suspected
    if by is not None:
        slices = evaluation.by(by)
        if len(slices) > MOST_VALUES:
            raise InputError(f"column {by!r}: {len(slices)} values; expected at most {MOST_VALUES} to tell apart")
        summary["by"] = {value: _numbers(part) for value, part in slices.items()}
    return summary


def _train_ids(evaluation: Evaluation) -> dict[str, float] | None:
    """Shares of agreement, where predictions in the categories of Cityscapes look like train ids."""
    if "miou" not in evaluation.measures:
        return None
    found = confusion_agreement(evaluation.rows("miou"), evaluation.categories)
    if found is None or not (found.likely and found.categories > 1):
        return None
    return {"as_train_ids": found.as_train_ids, "as_label_ids": found.as_label_ids}


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "images": len(evaluation),
        "total": max(evaluation.total, len(evaluation)),
        "missing": sum(image.missing for image in evaluation.images.values()),
        "wrong_areas": sum(image.wrong_areas for image in evaluation.images.values()),
    }
    for measure in evaluation.measures:
        summary[measure] = MEASURES[measure].summarize_rows(evaluation.rows(measure), evaluation.categories)
    return summary
