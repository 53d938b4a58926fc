"""The ceiling that a configuration sets on panoptic quality, and which settings cost it.

The outputs of perfect heads are grouped as the configuration says and measured against the truth. Then one setting at
a time is moved out of the way, and the points that this gains are its cost.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpanoptic.architecture import Architecture
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import Dataset, ImageRecord, read_segment_map
from tfpanoptic.data.spread import spread
from tfpanoptic.doctor.input_relaxations import input_relaxations
from tfpanoptic.doctor.options import CEILING_IMAGES
from tfpanoptic.doctor.perfect_prediction import perfect_predictor, require_oracle
from tfpanoptic.doctor.sources import Source
from tfpanoptic.errors import settings_of
from tfpanoptic.evaluation.measures import panoptic_quality, size_quality
from tfpanoptic.evaluation.measures.matching import pair_segments
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import SegmentMap, from_panoptic_map, to_panoptic_map
from tfpanoptic.settings.input_size import InputConfig

if TYPE_CHECKING:
    from tfpanoptic.experiment import Experiment

GROUPS = ("all", "things", "stuff")
# A sensible configuration allows more than GOOD in total. Own choice, as are the other two: below WEAK a category
# is named, and a setting that costs less than NOTICEABLE is none to change.
GOOD = 0.95
WEAK = 0.80
NOTICEABLE = 0.005
# Images of which the costs are measured, unless told otherwise: every setting takes them once more.
COST_IMAGES = 20

# Rows of an image by measure: "pq" and "size".
Rows = dict[str, np.ndarray]


def ceiling(
    dataset: Dataset,
    architecture: Architecture,
    model: Any,
    input_config: InputConfig,
    known: CategoryTable | None = None,
    limit: int | None = None,
    cost_images: int = COST_IMAGES,
) -> dict[str, Any]:
    """What a perfect network of a configuration reaches on a dataset, and what its settings cost.

    Args:
        dataset: images with truth; only the truth is read.
        architecture: the record.
        model: its configuration.
        input_config: the input-size policy.
        known: the network's categories, if it lacks the last ones of the dataset.
        limit: measure only so many images, evenly spread over the dataset.
        cost_images: of these, so many for the costs, evenly spread again.

    Returns:
        A dict that JSON can hold, all PQ as fractions:
            `images`: number measured
            `pq`, `size`: of `panoptic_quality.summarize` and `size_quality.summarize_rows`
            `format`: PQ by group of what a panoptic map can hold of the truth, before any network
            `weak_categories`: names with a PQ below `WEAK`, the lowest first
            `costs`: `{"images", "pq" by group, "settings"}`; a setting is `{"setting", "found", "relaxed", "advice",
                "possible", "pq" by group, "cost" by group}`, the costliest first
            `verdict`: sentences

    Raises:
        InputError: a file of the truth cannot be read, the configuration is wrong, or the architecture has no oracle.
    """
    records = spread(dataset.records, limit)
    chosen = spread(range(len(records)), cost_images)
    variants = _variants(architecture, model, input_config, dataset)
    with progress("ceiling", len(records) + len(chosen) * len(variants)) as track:

        def measure(model: Any, input_config: Any, records: list[ImageRecord]) -> list[Rows]:
            predict = perfect_predictor(architecture, model, input_config, dataset.categories, known)
            return [_measured(record, predict, dataset.categories, track) for record in records]

        rows = measure(model, input_config, records)
        base = _by_group([rows[i] for i in chosen], dataset.categories)
        settings = []
        for told, relaxed_model, relaxed_input in variants:
            relaxed = measure(relaxed_model, relaxed_input, [records[i] for i in chosen])
            pq = _by_group(relaxed, dataset.categories)
            settings.append({**told, "pq": pq, "cost": {group: _gain(base[group], pq[group]) for group in GROUPS}})
    settings.sort(key=lambda setting: -(setting["cost"]["all"] or 0.0))
    summary = _summary(rows, "pq", panoptic_quality, dataset.categories)
    found = {
        "images": len(records),
        "pq": summary,
        "size": _summary(rows, "size", size_quality, dataset.categories),
        "format": _by_group([_format_rows(record, dataset.categories) for record in records], dataset.categories),
        "weak_categories": _weak(summary["per_category"]),
        "costs": {"images": len(chosen), "pq": base, "settings": settings},
    }
    return {**found, "verdict": verdict(found)}


def ceiling_of_source(
    source: Source, experiment: Experiment, config: str | Path, limit: int | None = None
) -> dict[str, Any]:
    """The ceiling that a configuration sets on the data, as `ceiling` gives it.

    Args:
        source: sound data.
        experiment: the configuration.
        config: its file, for messages.
        limit: measure only so many images; by default `CEILING_IMAGES`.

    Raises:
        InputError: the data cannot be read, or a setting is wrong.
    """
    with settings_of(config):
        known = experiment.load_categories() if source.configured else None
        return ceiling(
            source.load(), experiment.architecture, experiment.model, experiment.input, known, limit or CEILING_IMAGES
        )


def verdict(found: dict[str, Any]) -> list[str]:
    """What the numbers of `ceiling` mean, in sentences for people."""
    reached = {group: found["pq"][group]["pq"] for group in GROUPS if found["pq"][group]["pq"] is not None}
    if not reached:
        return ["The truth has no segment: there is nothing to reach."]
    parts = ", ".join(f"{group} {percent(reached[group])}" for group in GROUPS[1:] if group in reached)
    lines = [f"Perfect heads of this configuration reach PQ {percent(reached['all'])} ({parts})."]
    low = [group for group in GROUPS if reached.get(group, 1.0) < GOOD]
    if low:
        lines.append(f"PQ of {' and '.join(low)} is below {percent(GOOD)}: change settings before you train.")
    costly = [setting for setting in found["costs"]["settings"] if is_noticeable(setting)]
    told = [setting for setting in costly if setting["possible"]][:2] or costly[:1]
    for place, setting in zip(("Most points are lost by", "Then by"), told):
        change = f"{setting['setting']} ({setting['found']} instead of {setting['relaxed']})"
        lines.append(f"{place} {change}, {percent(setting['cost']['all'])}: {setting['advice']}.")
    if not low:
        lines.append("It can be trained as it is.")
    lost = 1.0 - found["format"]["all"] if found["format"]["all"] is not None else 0.0
    if lost >= NOTICEABLE:
        what = "stuff of one category in several segments of an image, or several crowds of one; join them"
        lines.append(f"The truth itself loses {percent(lost)} points: {what}.")
    if found["weak_categories"]:
        weak = (f"{name} {percent(found['pq']['per_category'][name]['pq'])}" for name in found["weak_categories"])
        lines.append(f"Categories below {percent(WEAK)}: {', '.join(weak)}.")
    return lines


def is_noticeable(setting: dict[str, Any]) -> bool:
    """Whether a setting of `ceiling` costs enough to be worth a change."""
    return (setting["cost"]["all"] or 0.0) >= NOTICEABLE


def percent(fraction: float | None) -> str:
    """One decimal, "-" for None; never "-0.0"."""
    return "-" if fraction is None else f"{round(100 * fraction, 1) + 0.0:.1f}"


def _variants(architecture: Any, model: Any, input_config: Any, dataset: Dataset) -> list[tuple[dict, Any, Any]]:
    """What is told of each relaxation, and the two configurations with it."""
    isthing = dataset.categories.isthing
    most = max((int(isthing[r.segments["category"]].sum()) for r in dataset.records), default=0)
    variants: list[tuple[dict, Any, Any]] = []
    for relaxation in require_oracle(architecture).settings(model, most):
        told = relaxation._asdict()
        variants.append((told, told.pop("config"), input_config))
    sizes = [(record.height, record.width) for record in dataset.records]
    for told, larger in input_relaxations(input_config, sizes):
        variants.append((told, model, larger))
    return variants


def _measured(
    record: ImageRecord, predict: Callable[[SegmentMap], SegmentMap], categories: CategoryTable, track: Any
) -> Rows:
    truth = read_segment_map(record)
    rows = _rows(truth, predict(truth), categories)
    track.advance()
    return rows


def _format_rows(record: ImageRecord, categories: CategoryTable) -> Rows:
    """Rows of the truth against its own panoptic map."""
    truth = read_segment_map(record)
    return _rows(truth, from_panoptic_map(to_panoptic_map(truth, categories)[0], categories), categories)


def _rows(truth: SegmentMap, prediction: SegmentMap, categories: CategoryTable) -> Rows:
    pairs = pair_segments(truth, prediction, len(categories))
    return {
        "pq": panoptic_quality.count_rows(pairs, categories),
        "size": size_quality.count_rows(pairs, categories),
    }


def _summary(rows: list[Rows], name: str, measure: Any, categories: CategoryTable) -> dict[str, Any]:
    together = [image[name] for image in rows]
    joined = np.concatenate(together) if together else np.zeros((0, len(measure.COLUMNS)))
    return measure.summarize_rows(joined, categories)


def _by_group(rows: list[Rows], categories: CategoryTable) -> dict[str, float | None]:
    summary = _summary(rows, "pq", panoptic_quality, categories)
    return {group: summary[group]["pq"] for group in GROUPS}


def _gain(base: float | None, relaxed: float | None) -> float | None:
    return None if base is None or relaxed is None else relaxed - base


def _weak(per_category: dict[str, dict]) -> list[str]:
    weak = [(row["pq"], name) for name, row in per_category.items() if row["pq"] is not None and row["pq"] < WEAK]
    return [name for _, name in sorted(weak)]
