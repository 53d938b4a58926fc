"""The training loop: one loop for every tf.distribute strategy.

A run is a function of its configuration. Step s trains on a batch that depends on (seed, s) alone,
and a checkpoint holds everything else, so a run that was killed and resumed ends with the same weights.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from tfpanoptic.atomic import require_outside
from tfpanoptic.data.dataset import Dataset, check_records
from tfpanoptic.data.dataset_contents import contents_fingerprint
from tfpanoptic.data.pipeline import records_of_batch, training_batches
from tfpanoptic.data.supervision import supervision_lines
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.experiment import Experiment
from tfpanoptic.ops.tensorflow_only import require_tensorflow
from tfpanoptic.run_folder import LENGTHENED, RunFolder
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.checkpoints import Checkpoints
from tfpanoptic.train.failures import FAILURES, told
from tfpanoptic.train.recorder import Recorder
from tfpanoptic.train.step import make_step
from tfpanoptic.train.strategy import is_chief
from tfpanoptic.train.updates import Updates


def train(
    experiment: Experiment,
    out: str | Path,
    strategy: tf.distribute.Strategy | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> PanopticSegmenter:
    """Trains to the last step, and leaves a run folder.

    Args:
        experiment: what to train, on what, and how.
        out: the run folder.
        strategy: where to run; None is one device.
        resume: go on from the folder's latest checkpoint; its configuration must be the same but for what does not
            change the outcome, see `RunFolder.require_usable`.
        overwrite: replace an older run in `out`.

    Returns:
        The segmenter with the last weights (their moving average, if the run keeps one).

    Raises:
        InputError: the folder exists, the configuration differs from the folder's, the data are wrong, or Keras runs
            on another backend than TensorFlow.
        SettingError: the network, the data or the replicas do not allow a setting.
        WorkFailed: a loss was not finite, or TensorFlow, the memory or the disk failed.
    """
    require_tensorflow("training")
    strategy = strategy or tf.distribute.get_strategy()
    settings = experiment.training
    _require_equal_shares(strategy, settings)
    folder = RunFolder(out)
    changes = folder.require_usable(experiment, resume, overwrite)
    splits = experiment.load_splits()
    dataset, validation = splits["train"], splits["val"]
    if len(validation.table_only) == len(dataset.categories):
        raise SettingError("data.val", f"no category in common with data.train; {'; '.join(validation.unmatched())}")
    if overwrite:
        records = (record for split in splits.values() for record in split.records)
        images = {path.parent for record in records for path in (record.image_path, record.panoptic_path)}
        weights = experiment.with_absolute_paths().training.initial_weights
        require_outside(folder.path, [*sorted(images), *([weights] if weights else [])])
    fingerprints = {split: contents_fingerprint(part) for split, part in splits.items()}
    notes = [*(f"changed: {change}" for change in changes), *supervision_lines(splits)]
    if resume:
        notes += folder.require_same_data(fingerprints, any(change.startswith("data.") for change in changes))
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        segmenter = PanopticSegmenter(experiment, dataset.categories)
        updates = Updates(settings, segmenter.trainable_variables)
        start = Checkpoints(folder.checkpoints, segmenter, updates).restore() if resume else 0
        loaded = () if start else segmenter.load_initial_weights()
        segmenter.licence = folder.licence() if start else segmenter.licence
    if start > settings.steps or (start == settings.steps and folder.last_weights.is_file()):
        _tell_finished(folder, experiment, start)
        updates.use_average()
        return segmenter
    with told("before the first step"):
        batches = iter(_distributed_batches(strategy, experiment, dataset, segmenter, start))
    step_function = make_step(strategy, segmenter, updates, settings.accumulate)
    # Whatever may be wrong with the input has been found by now: an older run stays until here.
    recorder = Recorder(experiment, folder, segmenter, updates, splits, chief=is_chief(strategy))
    with recorder.recording(start, resume, strategy, loaded, fingerprints, notes):
        recorder.catch_up(start)
        for step in range(start + 1, settings.steps + 1):
            batch = _next_batch(batches, dataset, experiment, step)
            try:
                losses = step_function(batch)
            except FAILURES as error:
                raise recorder.step_failed(step, error) from None
            recorder.record(step, losses)
    updates.use_average()
    recorder.save_last()
    recorder.report()
    return segmenter


def _tell_finished(folder: RunFolder, experiment: Experiment, step: int) -> None:
    """Says that a run to resume is at its end.

    Raises:
        InputError: it is beyond the end that it should have.
    """
    steps, schedule = experiment.training.steps, experiment.training.schedule.name
    if step > steps:
        raise InputError(f"{folder.path}: already at step {step}, training.steps is {steps}; nothing to resume")
    if schedule in LENGTHENED:
        longer = "a larger training.steps goes on"
    else:
        longer = (
            f"the schedule {schedule} ends here, training.initial_weights starts a new run from {folder.last_weights}"
        )
    print(f"{folder.path}: already at step {step} of {steps}; {longer}", file=sys.stderr)


def _next_batch(batches, dataset: Dataset, experiment: Experiment, step: int):
    """The batch of a step.

    Raises:
        InputError: one of its files cannot be used; only these files are read again, to name it.
    """
    try:
        return next(batches)
    except tf.errors.OpError:
        settings, pasted = experiment.training, experiment.augment.copy_paste is not None
        # Batches are prepared ahead: replicas may be told of the next one's error.
        for ahead in (step - 1, step):
            records = records_of_batch(dataset, settings.batch_size, settings.seed, ahead, pasted)
            check_records(replace(dataset, records=tuple(records)), experiment.input.deep_grey)
        raise


def _require_equal_shares(strategy: tf.distribute.Strategy, settings: TrainingConfig) -> None:
    replicas, parts = strategy.num_replicas_in_sync, settings.accumulate
    if settings.batch_size % (replicas * parts):
        expected = f"a multiple of the {replicas} replicas"
        if parts > 1:
            expected += f" times the {parts} parts of training.accumulate"
        raise SettingError("training.batch_size", f"expected {expected}, found {settings.batch_size}")


def _distributed_batches(strategy, experiment: Experiment, dataset, segmenter, start: int):
    """Endless iterable of batches; each worker reads its own part of every global batch."""
    training = experiment.training

    def part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        batches = training_batches(
            dataset,
            experiment.input,
            experiment.grid,
            experiment.augment,
            segmenter.targets,
            training.batch_size,
            training.seed,
            start_step=start,
            worker=context.input_pipeline_id,
            workers=context.num_input_pipelines,
        )
        return batches.rebatch(context.get_per_replica_batch_size(training.batch_size))

    if strategy.num_replicas_in_sync == 1:
        return part(tf.distribute.InputContext())
    return strategy.distribute_datasets_from_function(part)
