"""The training loop: one loop for every tf.distribute strategy.

A run is a function of its configuration. Step s trains on a batch that depends on (seed, s) alone,
and a checkpoint holds everything else, so a run that was killed and resumed ends with the same weights.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfpanoptic.data.dataset import check_records
from tfpanoptic.data.pipeline import training_batches
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.experiment import Experiment
from tfpanoptic.progress import progress
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train.checkpoints import Checkpoints
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
        resume: go on from the folder's latest checkpoint; the folder's configuration must be the same.
        overwrite: replace an older run in `out`.

    Returns:
        The segmenter with the last weights (their moving average, if the run keeps one).

    Raises:
        InputError: the folder exists, the configuration differs from the folder's, or the data are wrong.
        WorkFailed: a loss was not finite.
    """
    strategy = strategy or tf.distribute.get_strategy()
    _require_equal_shares(strategy, experiment.training.batch_size)
    folder = RunFolder(out)
    folder.require_usable(experiment, resume, overwrite)
    dataset, validation = experiment.load_data("train"), experiment.load_data("val")
    if len(validation.table_only) == len(dataset.categories):
        raise InputError(f"data.val: no category in common with data.train; {'; '.join(validation.unmatched())}")
    keras.utils.set_random_seed(experiment.training.seed)
    with strategy.scope():
        segmenter = PanopticSegmenter(experiment, dataset.categories)
        updates = Updates(experiment.training, segmenter.trainable_variables)
        start = Checkpoints(folder.checkpoints, segmenter, updates).restore() if resume else 0
        if start == 0:
            segmenter.load_initial_weights()
    batches = iter(_distributed_batches(strategy, experiment, dataset, segmenter, start))
    # Whatever may be wrong with the input has been found by now: an older run stays until here.
    if not resume:
        folder.create(experiment)
    folder.rewind(start)
    folder.describe(segmenter, strategy)
    checkpoints = Checkpoints(folder.checkpoints, segmenter, updates)
    run = _Run(experiment, folder, segmenter, updates, checkpoints, validation)
    step_function = _step_function(strategy, segmenter, updates, experiment)
    with progress("train", experiment.training.steps, start) as track:
        for line in validation.unmatched():
            track.say(line)
        try:
            run.catch_up(start, track)
            for step in range(start + 1, experiment.training.steps + 1):
                run.record(step, step_function(next(batches)))
                run.after(step, track)
        except tf.errors.OpError:
            check_records(dataset)  # names the damaged file, if that is what it was
            raise
        except KeyboardInterrupt:
            run.flush()
            # Not `run.step`: the interruption may have come between an update and its record.
            done = int(keras.ops.convert_to_numpy(updates.iterations))
            checkpoints.save(done)
            track.say(f"interrupted after step {done}; go on with --resume")
            raise
    updates.use_average()
    segmenter.save_weights_file(folder.last_weights)
    return segmenter


def _require_equal_shares(strategy: tf.distribute.Strategy, batch_size: int) -> None:
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise InputError(f"training.batch_size: expected a multiple of the {replicas} replicas, found {batch_size}")


def _distributed_batches(strategy, experiment: Experiment, dataset, segmenter, start: int):
    """Endless iterable of batches; each worker reads its own part of every global batch."""
    training = experiment.training

    def part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        batches = training_batches(
            dataset,
            experiment.input,
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


def _step_function(strategy, segmenter: PanopticSegmenter, updates: Updates, experiment: Experiment):
    """Compiled function: global batch -> dict of weighted, batch-averaged loss terms and their sum `loss`."""
    global_batch = experiment.training.batch_size

    def replica_step(batch: dict[str, Any]) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            shares = segmenter.loss_shares(segmenter.loss_terms(batch, training=True), global_batch)
            loss = tf.add_n(list(shares.values()))
        updates.apply(tape.gradient(loss, updates.trained))
        return {**shares, "loss": loss}

    # XLA on the CPU was four times slower here, and cannot run several logical CPUs.
    @tf.function(jit_compile=False, reduce_retracing=True)
    def step(batch):
        shares = strategy.run(replica_step, args=(batch,))
        return {name: strategy.reduce("SUM", value, axis=None) for name, value in shares.items()}

    return step


class _Run:
    """What happens around the steps: records, evaluation, checkpoints."""

    def __init__(self, experiment, folder, segmenter, updates, checkpoints, validation):
        self.settings = experiment.training
        self.folder, self.segmenter, self.updates = folder, segmenter, updates
        self.checkpoints, self.validation = checkpoints, validation
        self.step = 0
        self._pending: list[tuple[int, dict[str, tf.Tensor]]] = []
        self._since = time.monotonic()

    def record(self, step: int, losses: dict[str, tf.Tensor]) -> None:
        """Keeps the step's losses on the device until they are needed."""
        self.step = step
        self._pending.append((step, losses))

    def flush(self) -> dict[str, float]:
        """Means of the losses since the last flush.

        Raises:
            WorkFailed: one of them is not finite; nothing after that step was saved.
        """
        values = [(step, {k: float(v) for k, v in losses.items()}) for step, losses in self._pending]
        self._pending.clear()
        for step, losses in values:
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise WorkFailed(
                        f"step {step}: loss term {name} is {value}; stopped. The latest checkpoint is from before it; "
                        "a lower learning rate or optimizer.clip_norm may help"
                    )
        return {k: sum(losses[k] for _, losses in values) / len(values) for k in values[0][1]} if values else {}

    def catch_up(self, step: int, track) -> None:
        """Evaluates after `step` if the run that is resumed was interrupted before it could."""
        if step and self._evaluates(step) and not self.folder.evaluated(step):
            self._evaluate(step, track)

    def _evaluates(self, step: int) -> bool:
        return step == self.settings.steps or step % self.settings.evaluate_every == 0

    def after(self, step: int, track) -> None:
        """Logs, evaluates and saves where it is time to."""
        settings, evaluates = self.settings, self._evaluates(step)
        saves = step == settings.steps or step % settings.checkpoint_every == 0
        note = ""
        if evaluates or saves or step % settings.log_every == 0 or step == 1:
            count, seconds = len(self._pending), time.monotonic() - self._since
            losses = self.flush()
            rate = self.updates.learning_rate
            speed = count * settings.batch_size / max(seconds, 1e-9)
            self.folder.log({"step": step, **losses, "learning_rate": rate, "images_per_second": round(speed, 2)})
            self._since = time.monotonic()
            note = f"loss {losses['loss']:.4f}"
        track.advance(note=note)
        if evaluates:
            self._evaluate(step, track)
            self._since = time.monotonic()
        if saves:
            self._require_finite_weights(step)
            self.checkpoints.save(step)

    def _require_finite_weights(self, step: int) -> None:
        """A gradient can overflow where the loss does not; such weights are never saved."""
        for variable in self.segmenter.trainable_variables:
            if not bool(tf.reduce_all(tf.math.is_finite(variable.value))):
                raise WorkFailed(f"step {step}: weight {variable.path} is not finite; stopped. Try optimizer.clip_norm")

    def _evaluate(self, step: int, track) -> None:
        """PQ on the validation images, pictures of the first of them, and the best weights so far."""
        with self.updates.averaged_weights():
            limit = self.settings.evaluate_images
            summary = self.segmenter.evaluate_panoptic(self.validation, limit=limit, pictures=self.folder.pictures)
            self.folder.log({"step": step, "pq": summary})
            score = summary["all"]["pq"]
            best = self.folder.keep_best(step, score, self.segmenter)
        shown = {k: "-" if summary[k]["pq"] is None else f"{100 * summary[k]['pq']:.1f}" for k in ("all", "things")}
        track.say(f"step {step}: PQ {shown['all']}, things {shown['things']}{', the best so far' if best else ''}")
