"""What an evaluation counts: each measure is a file and one line here.

A measure gives rows for one image (pairs, categories -> float64 `[R, columns]`, the first column a category) and
numbers for the rows of all images together (rows, categories -> dict that JSON can hold, fractions). So the
pixels are read once for all measures, and counters can be saved, merged and resampled without knowing what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures import (
    attribution,
    boundary_quality,
    cityscapes_ap,
    ignored,
    mask_ap,
    panoptic_quality,
    parsing_covering,
    semantic_iou,
    size_quality,
)
from tfpanoptic.evaluation.measures.matching import SegmentPairs


class Measure(NamedTuple):
    """How a measure is counted and summarized."""

    columns: tuple[str, ...]
    count_rows: Callable[[SegmentPairs, CategoryTable], np.ndarray]
    summarize_rows: Callable[[np.ndarray, CategoryTable], dict]


MEASURES = {
    name: Measure(module.COLUMNS, module.count_rows, module.summarize_rows)
    for name, module in {
        "pq": panoptic_quality,
        "causes": attribution,
        "size": size_quality,
        "miou": semantic_iou,
        "covering": parsing_covering,
        "ignored": ignored,
        "boundary": boundary_quality,
        "ap": mask_ap,
        "cityscapes_ap": cityscapes_ap,
    }.items()
}
# Read from the pairs alone: together they cost a fraction of decoding two PNGs.
FAST = ("pq", "causes", "size", "miou", "covering", "ignored")


def check_measures(names: tuple[str, ...]) -> None:
    """Refuses names of no measure.

    Raises:
        InputError: a name is none of `MEASURES`.
    """
    for name in names:
        if name not in MEASURES:
            raise InputError(f"measure {name!r}: expected one of {', '.join(MEASURES)}")


def measure_pairs(pairs: SegmentPairs, categories: CategoryTable, measures: Iterable[str]) -> dict[str, np.ndarray]:
    """The rows of each measure for one image."""
    return {name: MEASURES[name].count_rows(pairs, categories) for name in measures}
