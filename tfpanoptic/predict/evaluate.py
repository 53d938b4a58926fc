"""A model on images with truth: a run's evaluation, that of any dataset, and what a report shows of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.atomic import replace_file
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import Dataset, ImageRecord, read_record_image, read_segment_map
from tfpanoptic.data.label_space import matched, remapped_elsewhere
from tfpanoptic.errors import InputError, settings_of
from tfpanoptic.evaluation.dataset import evaluate_dataset, without_unlabelled
from tfpanoptic.evaluation.measures import FAST
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.options import EvaluateOptions, require_outputs, shard_slice
from tfpanoptic.evaluation.pairs.coco import fingerprint
from tfpanoptic.evaluation.rules import OFFICIAL, Rules
from tfpanoptic.evaluation.state import Evaluation, require_column
from tfpanoptic.experiment import Experiment
from tfpanoptic.predict.fates import why_so_few
from tfpanoptic.presets.cache import read_settings, run_folder_of
from tfpanoptic.report.scenes import Scenes
from tfpanoptic.result import PanopticResult
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segment_map import SegmentMap
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.label_space import RemapConfig

# Validation images of which training keeps an overlay.
PICTURES = 4


def matched_dataset(
    categories: CategoryTable, images: Path, annotations: Path, panoptic: Path, remap: RemapConfig | None = None
) -> Dataset:
    """Any COCO panoptic set for the evaluation of a model; categories are matched by name, images by file name.

    A category of the truth that the model lacks counts as missed. Segments of a category that the
    truth lacks are left out: nobody labelled them, so they can be neither right nor wrong.

    Args:
        categories: the model's.
        images, annotations, panoptic: as in `read_coco_panoptic`.
        remap: that of the model's own data; it holds for the truth, too, unless that has its categories already.
            Standard error says which.

    Raises:
        InputError: the set cannot be read, or shares no category with the model.
    """
    return matched_categories(read_coco_panoptic(images, annotations, panoptic), categories, str(annotations), remap)


def matched_categories(
    dataset: Dataset, categories: CategoryTable, origin: str, remap: RemapConfig | None = None
) -> Dataset:
    """The dataset in a model's categories, as `matched_dataset` has it.

    Args:
        dataset: in categories of its own.
        categories: the model's.
        origin: the dataset's file or name, for messages.
        remap: that of the model's configuration; what it does to the dataset is told on standard error.

    Raises:
        InputError: they share no category, or one is a thing here and stuff there.
    """
    if remap is not None:
        changed = remapped_elsewhere(dataset, remap)
        told = "taken as it is, data.remap made its categories" if changed is None else "remapped by data.remap"
        print(f"{origin}: {told}", file=sys.stderr)
        dataset = dataset if changed is None else changed
    dataset = matched(dataset, categories, origin)
    if len(dataset.table_only) == len(categories):
        ours, theirs = (", ".join(names[:4]) for names in (dataset.table_only, dataset.truth_only))
        raise InputError(f"{origin}: no category in common: the truth has {theirs}, the model has {ours}")
    return dataset


def evaluate_run(options: EvaluateOptions) -> tuple[Evaluation, Scenes]:
    """The evaluation of a run's model, and what a report shows of its images.

    The images are those of `images`, `gt` and `gt_dir`, or the run's own validation images. Categories that only they
    or only the model has are named on standard error; so are the views of an image, if there are several, and why a
    model predicts hardly anything, if its architecture can tell.

    Args:
        options: after `evaluation.options.check_options`, with a `run`.

    Raises:
        InputError: the run, the images or their truth cannot be used; no image is in the shard or has the column of
            `by`; or the state is of another evaluation.
    """
    if options.run is None:
        raise InputError("no run folder is given")
    config, experiment, categories = read_settings(options.run, options.overrides)
    dataset = truth_of_run(config, experiment, categories, options.images, options.gt, options.gt_dir)
    for line in RunFolder(config.parent).tuned_lines(options.overrides):
        print(line, file=sys.stderr)
    if experiment.test_time.augments:
        print(experiment.test_time, file=sys.stderr)
    part = replace(dataset, records=dataset.records[shard_slice(options.shard, len(dataset))])
    if options.by is not None:
        require_column(options.by, [record.extra for record in dataset.records])
    # The weights of a preset may have to be downloaded: not before the data are there.
    run = RunFolder(run_folder_of(options.run, PanopticSegmenter))
    photos = (path for record in dataset.records for path in (record.image_path, record.panoptic_path))
    require_outputs(options, [run.config, run.tuned, run.categories, run.weights(), *photos])
    segmenter = PanopticSegmenter.from_preset(run.path, options.overrides)
    source, measures = _source(segmenter, run, dataset), (*FAST, *options.measures)
    evaluation = evaluate_images(segmenter, part, measures, options.state, source, len(dataset), options.rules)
    for line in why_so_few(segmenter, part, evaluation):
        print(line, file=sys.stderr)
    return evaluation, scenes_of(segmenter, part, options.rules)


def truth_of_run(
    config: Path,
    experiment: Experiment,
    categories: CategoryTable,
    images: Path | None = None,
    annotations: Path | None = None,
    panoptic: Path | None = None,
    split: str = "val",
) -> Dataset:
    """The images with truth that a model is measured on; categories that do not match are told on standard error.

    Args:
        config: the configuration's file, for messages.
        experiment: the run's, whose own images are taken where none are given.
        categories: the model's.
        images, annotations, panoptic: as in `read_coco_panoptic`, all three or none.
        split: of the run's own images.

    Raises:
        InputError: as `matched_dataset`, or the run's own data cannot be read.
    """
    if images is not None and annotations is not None and panoptic is not None:
        dataset = matched_dataset(categories, images, annotations, panoptic, experiment.data.remap)
    else:
        with settings_of(f"{config} (or give --images, --gt and --gt-dir)"):
            dataset = experiment.load_data(split)
    for line in dataset.unmatched():
        print(line, file=sys.stderr)
    return dataset


def _source(segmenter: PanopticSegmenter, run: RunFolder, dataset: Dataset) -> str:
    """Fingerprint of a run's model, of the settings that were changed, and of the truth that it is measured on."""
    names = [f"{record.panoptic_path} {record.segments.tolist()}" for record in dataset.records]
    if segmenter.experiment != run.trained_experiment():
        names.append(segmenter.experiment.to_yaml())
    return fingerprint([run.weights(), run.config], names)


def evaluate_images(
    segmenter: PanopticSegmenter,
    dataset: Dataset,
    measures: Sequence[str] = FAST,
    state: str | Path | None = None,
    source: str = "",
    total: int = 0,
    rules: Rules = OFFICIAL,
) -> Evaluation:
    """The evaluation of a model on a dataset; `evaluation.summary.summarize` gives its numbers.

    Args and errors are those of `evaluation.dataset.evaluate_dataset`; `matched_dataset` makes a set of other
    categories fit.
    """

    def predict(record: ImageRecord) -> SegmentMap:
        return segmenter.segment_map(read_record_image(record, segmenter.experiment.input.deep_grey))

    return evaluate_dataset(dataset, segmenter.categories, predict, measures, state, source, total, rules)


def evaluate_with_pictures(
    segmenter: PanopticSegmenter, dataset: Dataset, folder: Path, limit: int | None = None
) -> dict[str, Any]:
    """PQ on a dataset, as `PanopticSegmenter.evaluate_panoptic` gives it, and overlays of its first images.

    Args:
        segmenter: the model.
        dataset: images with truth, of the model's categories.
        folder: gets `NAME.png` of the first `PICTURES` images; older ones of these names are replaced.
        limit: only so many images, the first ones.

    Raises:
        InputError: as `evaluate_images`, or a picture cannot be written.
    """
    dataset = replace(dataset, records=dataset.records[:limit])
    drawn = {record.file_name for record in dataset.records[:PICTURES]}

    def predict(record: ImageRecord) -> SegmentMap:
        image = read_record_image(record, segmenter.experiment.input.deep_grey)
        prediction = segmenter.segment_map(image)
        if record.file_name in drawn:
            seen = without_unlabelled(prediction, dataset)
            result = PanopticResult.from_segment_map(seen, segmenter.categories, image, record.file_name)
            replace_file(folder / f"{result.stem}.png", result._repr_png_())
        return prediction

    evaluation = evaluate_dataset(dataset, segmenter.categories, predict, ("pq",))
    return summarize_rows(evaluation.rows("pq"), evaluation.categories)


def predicted(segmenter: PanopticSegmenter, dataset: Dataset, image: np.ndarray) -> SegmentMap:
    """Segment map of one image, uint8 `[H, W, 3]`, without categories that nobody labelled in the dataset."""
    return without_unlabelled(segmenter.segment_map(image), dataset)


def scenes_of(segmenter: PanopticSegmenter, dataset: Dataset, rules: Rules = OFFICIAL) -> Scenes:
    """What a report shows of an image: photo, truth and prediction as they are counted, by the image's name."""
    records = {record.file_name: record for record in dataset.records}

    def scene(name: str) -> tuple[np.ndarray, SegmentMap, SegmentMap]:
        image = read_record_image(records[name], segmenter.experiment.input.deep_grey)
        truth, prediction = read_segment_map(records[name]), predicted(segmenter, dataset, image)
        return image, *rules.apply(truth, prediction, dataset.categories)

    return scene
