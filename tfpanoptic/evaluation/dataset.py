"""The evaluation of a dataset by whatever predicts its images, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import Dataset, ImageRecord, read_segment_map
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.counting import collect, count_maps
from tfpanoptic.evaluation.measures import FAST
from tfpanoptic.evaluation.measures.matching import SideError
from tfpanoptic.evaluation.pairs.coco import file_stamp
from tfpanoptic.evaluation.rules import OFFICIAL, Rules
from tfpanoptic.evaluation.state import Evaluation, ImageCounts, plain_columns
from tfpanoptic.segment_map import SegmentMap, relabel


def evaluate_dataset(
    dataset: Dataset,
    known: CategoryTable,
    predict: Callable[[ImageRecord], SegmentMap],
    measures: Sequence[str] = FAST,
    state: str | Path | None = None,
    source: str = "",
    total: int = 0,
    rules: Rules = OFFICIAL,
) -> Evaluation:
    """The evaluation of a dataset, truth and prediction at the files' own size; progress is shown on standard error.

    Args:
        dataset: images with truth.
        known: the categories of the predictions; those of the dataset must begin with them.
        predict: gives the segment map of an image, at the file's own size.
        measures: names in `measures.MEASURES`.
        state: a file that gets each image's counters as it is done. One that exists is continued.
        source: what predicts, so that a state of something else is not continued.
        total: images of the whole evaluation, if the dataset is a part of it.
        rules: what to count otherwise than the official evaluation does.

    Raises:
        InputError: the dataset has other categories, a file cannot be read, or the state is of another evaluation.
    """
    if dataset.categories.categories[: len(known)] != known.categories:
        raise InputError(f"{dataset.name}: not this model's categories; `matched_dataset` matches them by name")
    categories = dataset.categories
    table = rules.table(categories)
    start = Evaluation(table, tuple(measures), source, total=total or len(dataset), rules=rules.lines(categories))

    def count(record: ImageRecord) -> ImageCounts:
        return count_record(dataset, record, predict(record), start.measures, rules)

    records = {record.file_name: record for record in dataset.records}
    stamps = {name: file_stamp((record.image_path, record.panoptic_path)) for name, record in records.items()}
    return collect(start, records, stamps, lambda left: map(count, left), state)


def count_record(
    dataset: Dataset, record: ImageRecord, prediction: SegmentMap, measures: Sequence[str], rules: Rules = OFFICIAL
) -> ImageCounts:
    """The counters of one image of a dataset.

    Args:
        dataset, rules: as in `evaluate_dataset`.
        record: the image.
        prediction: at the file's own size.
        measures: names in `measures.MEASURES`.

    Raises:
        InputError: the truth cannot be read, or is of another size than the prediction.
    """
    prediction = without_unlabelled(prediction, dataset)
    truth, columns = read_segment_map(record), plain_columns(record.extra)
    try:
        counts = count_maps(record.file_name, truth, prediction, dataset.categories, measures, columns, rules)
    except SideError as error:
        place = record.panoptic_name if error.side == "truth" else record.image_name
        raise InputError(f"{place}: {error}") from None
    return replace(counts, image_id=record.image_id)


def without_unlabelled(segment_map: SegmentMap, dataset: Dataset) -> SegmentMap:
    """The segment map with segments of categories that nobody labelled in the dataset turned into void.

    They can be neither right nor wrong.
    """
    unlabelled = [c.id for c in dataset.categories if c.name in dataset.table_only]
    rows = segment_map.segments
    dropped = np.isin(rows["category"], unlabelled)
    if not dropped.any():
        return segment_map
    kept = rows[~dropped]
    return SegmentMap(relabel(segment_map.ids, kept["id"], kept["id"]), kept)
