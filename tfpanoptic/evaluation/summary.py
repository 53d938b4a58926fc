"""All numbers of an evaluation, as one dict that JSON can hold."""

from __future__ import annotations

from typing import Any

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.bootstrap import pq_intervals
from tfpanoptic.evaluation.measures import MEASURES
from tfpanoptic.evaluation.state import Evaluation


def summarize(evaluation: Evaluation, by: str | None = None) -> dict[str, Any]:
    """The numbers of every measure, as fractions.

    Args:
        evaluation: of at least one image.
        by: a column of the images' table; the numbers of the images of each of its values are told, too.

    Returns:
        `{"images", "missing"}`, the number of images and of those without a prediction, `{measure: ...}` as its
        `summarize_rows` gives, `pq_interval` as `bootstrap.pq_intervals` gives, and
        `by`: `{value: {"images", measure: ...}}`.

    Raises:
        InputError: no image, or no image has the column.
    """
    if not len(evaluation):
        raise InputError("no image to summarize: the evaluation holds none")
    summary = _numbers(evaluation)
    if "pq" in evaluation.measures:
        summary["pq_interval"] = pq_intervals(evaluation)
    if by is not None:
        summary["by"] = {value: _numbers(evaluation.where(by, value)) for value in evaluation.values(by)}
    return summary


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "images": len(evaluation),
        "missing": sum(image.missing for image in evaluation.images.values()),
    }
    for measure in evaluation.measures:
        summary[measure] = MEASURES[measure].summarize_rows(evaluation.rows(measure), evaluation.categories)
    return summary
