"""Everything that a run writes: its folder, metrics, checkpoints, pictures, weights, and notes on the console.

Of several workers only the chief writes. All of them check losses and weights, so that all stop together.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Concatenate, ParamSpec

import keras
import tensorflow as tf

from tfpanoptic.atomic import replace_file
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.supervision import images_json
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.experiment import Experiment
from tfpanoptic.predict.evaluate import evaluate_with_pictures
from tfpanoptic.progress import progress
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train.checkpoints import Checkpoints
from tfpanoptic.train.failures import FAILURES, reason
from tfpanoptic.train.updates import Updates
from tfpanoptic.weights import LoadReport

Arguments = ParamSpec("Arguments")


def _by_the_chief(
    method: Callable[Concatenate[Recorder, Arguments], None],
) -> Callable[Concatenate[Recorder, Arguments], None]:
    """The method on the chief, nothing on other workers; what writes is marked with it."""

    @functools.wraps(method)
    def write(self: Recorder, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if self.chief:
            method(self, *args, **kwargs)

    return write


class Recorder:
    """What happens around the steps: records, evaluation, checkpoints.

    Args:
        experiment: of the run.
        folder: of the run.
        segmenter: the model in training.
        updates: its updates.
        splits: images that choose the best weights and that are reported, by what they are called.
        chief: whether this worker writes, and evaluates for it.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        segmenter: PanopticSegmenter,
        updates: Updates,
        splits: Mapping[str, Dataset],
        chief: bool = True,
    ):
        self.experiment, self.settings = experiment, experiment.training
        self.folder, self.segmenter, self.updates = folder, segmenter, updates
        self.splits, self.chief = splits, chief
        self.validation = splits[experiment.data.chooses_on]
        self._track: Any = None  # the chief's, from `recording` on
        self._checkpoints: Any = None
        self._pending: list[tuple[int, dict[str, tf.Tensor]]] = []
        self._since = time.monotonic()

    @contextmanager
    def recording(
        self,
        start: int,
        resume: bool,
        strategy: tf.distribute.Strategy,
        loaded: Sequence[LoadReport],
        fingerprints: dict[str, str],
        notes: Sequence[str] = (),
    ) -> Iterator[None]:
        """Within it the steps after `start` are recorded; an interruption or a failure leaves a checkpoint.

        An older run in the folder is gone then, unless it is resumed.

        Args:
            start: steps that are done.
            resume: go on with the run in the folder.
            strategy: of the run.
            loaded: what was taken of the weights that training starts from.
            fingerprints: split -> fingerprint of its contents.
            notes: lines to be said first.

        Raises:
            InputError: an image of the data cannot be used.
            WorkFailed: TensorFlow, the memory or the disk failed within it.
        """
        self._prepare_folder(start, resume, strategy, loaded, fingerprints)
        with progress("train", self.settings.steps, start) if self.chief else nullcontext() as self._track:
            for line in (*notes, *self.validation.unmatched(), *self._origin(start, loaded)):
                self._say(line)
            try:
                yield
            except KeyboardInterrupt:
                self._save_interrupted()
                raise
            except InputError as error:
                raise InputError(f"{error}; {self._stopped()}") from None
            except FAILURES as error:
                raise WorkFailed(f"{reason(error)}; {self._stopped()}") from None

    def _origin(self, start: int, loaded: Sequence[LoadReport]) -> list[str]:
        """What the run starts from."""
        if start:
            return [f"resumed after step {start}"]
        return [f"starts from {report}" for report in loaded] or [f"starts from new weights, seed {self.settings.seed}"]

    @_by_the_chief
    def _prepare_folder(self, start: int, resume: bool, strategy, loaded, fingerprints) -> None:
        if not resume:
            self.folder.create(self.experiment)
        self.folder.rewind(start)
        self.folder.describe(self.segmenter, strategy, fingerprints)
        replace_file(self.folder.images, images_json(self.splits))
        if loaded:
            content = json.dumps([report.to_dict() for report in loaded], indent=2) + "\n"
            replace_file(self.folder.initial_weights, content)
        self._checkpoints = Checkpoints(self.folder.checkpoints, self.segmenter, self.updates)

    def catch_up(self, step: int) -> None:
        """Evaluates after `step` if the run that is resumed was interrupted before it could."""
        if step and self._evaluates(step) and not self.folder.evaluated(step):
            self._evaluate(step)

    def record(self, step: int, losses: dict[str, tf.Tensor]) -> None:
        """Keeps the losses of a step on the device, and logs, evaluates and saves where it is time to.

        Raises:
            WorkFailed: a loss or a weight is not finite; nothing after that step was saved.
        """
        self._pending.append((step, losses))
        settings, evaluates = self.settings, self._evaluates(step)
        saves = step == settings.steps or step % settings.checkpoint_every == 0
        note = ""
        if evaluates or saves or step % settings.log_every == 0 or step == 1:
            count, seconds = len(self._pending), time.monotonic() - self._since
            means = self._flush()
            speed = count * settings.batch_size / max(seconds, 1e-9)
            rate = self.updates.learning_rate
            self._log({"step": step, **means, "learning_rate": rate, "images_per_second": round(speed, 2)})
            self._since = time.monotonic()
            note = f"loss {means['loss']:.4f}"
        self._advance(note)
        if evaluates:
            self._evaluate(step)
            self._since = time.monotonic()
        if saves:
            self._require_finite_weights(step)
            self._save(step)

    def _evaluates(self, step: int) -> bool:
        return step == self.settings.steps or step % self.settings.evaluate_every == 0

    def _flush(self) -> dict[str, float]:
        """Means of the losses since the last flush."""
        values = [(step, {k: float(v) for k, v in losses.items()}) for step, losses in self._pending]
        self._pending.clear()
        for step, losses in values:
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise WorkFailed(
                        f"step {step}: loss term {name} is {value}; stopped{self._latest()}; "
                        "a lower learning rate or optimizer.clip_norm may help"
                    )
        return {k: sum(losses[k] for _, losses in values) / len(values) for k in values[0][1]} if values else {}

    def _require_finite_weights(self, step: int) -> None:
        """A gradient can overflow where the loss does not; such weights are never saved."""
        for variable in self.segmenter.trainable_variables:
            if not bool(tf.reduce_all(tf.math.is_finite(variable.value))):
                raise WorkFailed(f"step {step}: weight {variable.path} is not finite; stopped. Try optimizer.clip_norm")

    @_by_the_chief
    def _evaluate(self, step: int) -> None:
        """PQ on the validation images, pictures of the first of them, and the best weights so far."""
        with self.updates.averaged_weights():
            limit = self.settings.evaluate_images
            summary = evaluate_with_pictures(self.segmenter, self.validation, self.folder.pictures, limit)
            self.folder.log({"step": step, "pq": summary})
            kept = self.folder.keep_best(step, summary["all"]["pq"], self.segmenter)
        self._say(f"step {step}: {_shown(summary)}{f', {kept}' if kept else ''}")

    @_by_the_chief
    def _save_interrupted(self) -> None:
        self._flush()
        # Not the step recorded last: the interruption may have come between an update and its record.
        done = int(keras.ops.convert_to_numpy(self.updates.iterations))
        self._save(done)
        self._say(f"interrupted after step {done}; go on with --resume")

    def step_failed(self, step: int, error: BaseException) -> WorkFailed:
        """The error to raise where a step itself failed: its weights may be half updated, so nothing is saved."""
        return WorkFailed(f"step {step}: {reason(error)}; stopped{self._latest()}")

    def _stopped(self) -> str:
        """Leaves a checkpoint where the work failed between steps, and says from where the run can go on."""
        if self._checkpoints is not None:
            try:
                self._flush()
                done = int(keras.ops.convert_to_numpy(self.updates.iterations))
                if done:
                    self._save(done)
            except (WorkFailed, *FAILURES):
                pass  # the one before it stays
        return f"stopped{self._latest()}; --resume goes on"

    def _latest(self) -> str:
        """Which checkpoint there is, of the chief; a part of a sentence."""
        if self._checkpoints is None:
            return ""
        step = self._checkpoints.latest_step()
        return ", no checkpoint was written yet" if step is None else f", the latest checkpoint is of step {step}"

    @_by_the_chief
    def save_last(self) -> None:
        """Writes the weights that the segmenter has after the last step."""
        self.segmenter.save_weights_file(self.folder.last_weights)

    @_by_the_chief
    def report(self) -> None:
        """PQ of the best weights on the validation images, where these chose nothing; the last weights stay."""
        if self.experiment.data.chooses_on == "val":
            return
        step = self.folder.best_step()
        self.segmenter.load_weights_file(self.folder.weights())
        summary = self.segmenter.evaluate_panoptic(self.splits["val"])
        self.segmenter.load_weights_file(self.folder.last_weights)
        self.folder.log({"step": self.settings.steps if step is None else step, "reported": summary})
        told = "the last weights" if step is None else f"the weights of step {step}"
        self._say(f"val, which chose nothing: {_shown(summary)}, with {told}")

    @_by_the_chief
    def _log(self, row: dict) -> None:
        self.folder.log(row)

    @_by_the_chief
    def _save(self, step: int) -> None:
        self._checkpoints.save(step)

    @_by_the_chief
    def _advance(self, note: str) -> None:
        self._track.advance(note=note)

    @_by_the_chief
    def _say(self, line: str) -> None:
        self._track.say(line)


def _shown(summary: dict[str, Any]) -> str:
    """PQ in percent, of all and of things, "-" where there is none."""
    shown = {k: "-" if summary[k]["pq"] is None else f"{100 * summary[k]['pq']:.1f}" for k in ("all", "things")}
    return f"PQ {shown['all']}, things {shown['things']}"
