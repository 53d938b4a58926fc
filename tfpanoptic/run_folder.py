"""The run folder: everything that a training run leaves behind.

config.yaml           the resolved configuration, its paths from the root
categories.json       the category table
environment.json      versions and devices
metrics.jsonl         losses every few steps, PQ at every evaluation
checkpoints/          the latest two, to resume from
initial_weights.json  what was taken of the weights that training started from, and what was not
data.json             by which the data are known again under another path
images.json           which images were for what: training, the choice of the best weights, the reported numbers
best.safetensors      the weights with the best PQ, of equal ones the latest, and best.json, which says when
last.safetensors      the weights after the last step
tuned.json            settings of post-processing that `tfpanoptic tune` found, which hold in place of config.yaml's
pictures/             overlays of the first images that choose the best weights, at the latest evaluation
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tfpanoptic.atomic import new_folder, replace_file, require_free
from tfpanoptic.categories import CategoryTable
from tfpanoptic.environment import describe_environment
from tfpanoptic.errors import InputError, unwritten
from tfpanoptic.experiment import Experiment
from tfpanoptic.settings.overrides import require_changeable
from tfpanoptic.settings.precision import PRECISIONS
from tfpanoptic.settings.tuned import TunedSettings, read_tuned

# Exports of all formats and precisions by the names that they have by default, and their reports.
EXPORTS = tuple(
    f"{name}{report}"
    for name in (
        "saved_model",
        *(
            f"{format}{'' if precision == 'none' else f'_{precision}'}.{suffix}"
            for format, suffix in (("litert", "tflite"), ("onnx", "onnx"))
            for precision in PRECISIONS
        ),
    )
    for report in ("", ".verify.json", ".verify.md")
)
# Of a published model: where its weights are from, and their licence.
ORIGIN = "origin.json"
UNKNOWN_LICENCE = "unknown"
# Only a folder with nothing else in it is ever replaced.
CONTENTS = (
    "config.yaml",
    "categories.json",
    "environment.json",
    "metrics.jsonl",
    "initial_weights.json",
    "data.json",
    "images.json",
    "checkpoints",
    "best.safetensors",
    "best.json",
    "last.safetensors",
    "tuned.json",
    "pictures",
    *EXPORTS,
)
# Settings that a run may be resumed with another value of: the weights of a step do not depend on them.
HARMLESS = ("training.log_every", "training.evaluate_every", "training.checkpoint_every")
# Schedules whose learning rate at a step does not depend on the number of steps.
LENGTHENED = ("constant", "step")


class RunFolder:
    """The paths of a run, and what is written where."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.categories = self.path / "categories.json"
        self.initial_weights = self.path / "initial_weights.json"
        self.data = self.path / "data.json"
        self.images = self.path / "images.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.best_weights = self.path / "best.safetensors"
        self.best_score = self.path / "best.json"
        self.last_weights = self.path / "last.safetensors"
        self.tuned = self.path / "tuned.json"
        self.pictures = self.path / "pictures"
        self.origin = self.path / ORIGIN

    def require_usable(self, experiment: Experiment, resume: bool, overwrite: bool) -> list[str]:
        """Checks that a run may start or go on here; changes nothing.

        Returns:
            The settings of a run to resume that change, which do not change its outcome, a phrase each. Those of the
            data do not if the data are the same: see `require_same_data`.

        Raises:
            InputError: the folder holds a run and neither `resume` nor `overwrite` is given; it holds
                something else; or a run to resume has another configuration, or only a model that `save` wrote.
        """
        if resume and overwrite:
            raise InputError("--resume and --overwrite exclude each other")
        if resume:
            if self.last_weights.is_file() and not self.checkpoints.is_dir():
                raise InputError(
                    f"{self.path}: has weights, but no checkpoint to go on from; "
                    f"train into a new folder with training.initial_weights={self.last_weights}"
                )
            return self._changes(experiment)
        if self.config.is_file() and not overwrite:
            raise InputError(f"{self.path}: holds a run; give --resume to go on or --overwrite to replace it")
        require_free(self.path, CONTENTS, overwrite)
        return []

    def _changes(self, experiment: Experiment) -> list[str]:
        there = self.trained_experiment()
        ours, theirs = (_flat(e.with_absolute_paths().to_dict()) for e in (experiment, there))
        keys = [key for key in (*theirs, *(ours.keys() - theirs.keys())) if ours.get(key) != theirs.get(key)]
        schedule = there.training.schedule.name
        harmless = [*HARMLESS, *(["training.steps"] if schedule in LENGTHENED else [])]
        if any(self.checkpoints.glob("*.index")):
            harmless += ["training.initial_weights", "training.initial_weights_strict"]  # it has started from them
        other = [key for key in keys if key not in harmless and not key.startswith("data.")]
        phrases = {key: f"{key} is {theirs.get(key)} there and {ours.get(key)} here" for key in keys}
        if other == ["training.steps"]:
            raise InputError(
                f"{self.config}: {phrases['training.steps']}; the schedule {schedule} depends on the number of steps, "
                f"and only {' and '.join(LENGTHENED)} can be lengthened. A new run can start from the weights of this "
                f"one: training.initial_weights={self.path / 'last.safetensors'} and another --out"
            )
        if other:
            listed = ", ".join(phrases[key] for key in other[:3])
            raise InputError(
                f"{self.config}: cannot resume with other settings: {listed}; repeat those of the run's start"
            )
        return list(phrases.values())

    def require_same_data(self, fingerprints: dict[str, str], moved: bool) -> list[str]:
        """Checks that a run to resume goes on with the data that it began with.

        Args:
            fingerprints: of each split's contents.
            moved: whether the configuration names them otherwise than before.

        Returns:
            A line for each split that has changed where it lies.

        Raises:
            InputError: the data under the new paths are other ones, or the run does not say which it had.
        """
        if not self.data.is_file():
            if moved:
                raise InputError(
                    f"{self.config}: cannot resume with data under another path: no {self.data.name} there"
                )
            return []
        known = json.loads(self.data.read_text(encoding="utf-8"))
        changed = [split for split, text in fingerprints.items() if known.get(split) != text]
        if changed and moved:
            raise InputError(
                f"{self.config}: cannot resume with other data: data.{changed[0]} has other images, annotations or "
                "categories than when the run began"
            )
        return [f"data.{split} has changed since the run began; it goes on with what is there now" for split in changed]

    def create(self, experiment: Experiment) -> None:
        """An empty folder with the configuration; an older run in it is gone then.

        Raises:
            InputError: it cannot be written to.
            WorkFailed: the disk is full.
        """
        try:
            if self.path.exists():
                shutil.rmtree(self.path)
        except OSError as error:
            raise unwritten(self.path, error) from None
        replace_file(self.config, experiment.with_absolute_paths().to_yaml())

    def save(self, segmenter, overwrite: bool = False) -> None:
        """Writes a segmenter that another loop has trained: its configuration, categories, environment and weights.

        Raises:
            InputError: as `atomic.new_folder`.
        """
        with new_folder(self.path, CONTENTS, overwrite) as path:
            folder = RunFolder(path)
            folder.describe(segmenter)
            segmenter.save_weights_file(folder.last_weights)

    def rewind(self, step: int) -> None:
        """Drops records from after `step`: the resumed run will write them again."""
        if self.metrics.is_file():
            lines = [line for line in self.metrics.read_text(encoding="utf-8").splitlines(True) if line.endswith("\n")]
            replace_file(self.metrics, "".join(line for line in lines if json.loads(line)["step"] <= step))
        if self.best_score.is_file() and json.loads(self.best_score.read_text(encoding="utf-8"))["step"] > step:
            self.best_score.unlink()

    def describe(self, segmenter, strategy=None, fingerprints: dict[str, str] | None = None) -> None:
        """Writes the configuration, the category table and the environment.

        Args:
            segmenter: what is trained.
            strategy: of the training, if there is one.
            fingerprints: what the data are known by again, of each split of the training.
        """
        replace_file(self.config, segmenter.experiment.with_absolute_paths().to_yaml())
        if fingerprints is not None:
            replace_file(self.data, json.dumps(fingerprints, indent=2) + "\n")
        replace_file(self.categories, segmenter.categories.to_json())
        environment = describe_environment() | {"parameters": int(segmenter.count_params())}
        if strategy is not None:
            environment |= {"strategy": type(strategy).__name__, "replicas": strategy.num_replicas_in_sync}
        replace_file(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")

    def evaluated(self, step: int) -> bool:
        """Whether `metrics.jsonl` holds the PQ of `step`."""
        lines = self.metrics.read_text(encoding="utf-8").splitlines() if self.metrics.is_file() else []
        return any("pq" in record and record["step"] == step for record in map(json.loads, lines))

    def log(self, record: dict) -> None:
        """Appends one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def keep_best(self, step: int, score: float | None, segmenter) -> str:
        """Keeps the weights if none before were better; says why, and nothing if they are not kept.

        An undefined score, None, is below every other.
        """
        why = "the best so far"
        if self.best_score.is_file():
            best = json.loads(self.best_score.read_text(encoding="utf-8"))["pq"]
            if _rank(score) < _rank(best):
                return ""
            if _rank(score) == _rank(best):
                why = "equal to the best so far, the later weights are kept"
        if score is None:
            why = "undefined for want of segments, the latest weights are kept"
        segmenter.save_weights_file(self.best_weights)
        replace_file(self.best_score, json.dumps({"step": step, "pq": score}) + "\n")
        return why

    def load_experiment(self, overrides: Sequence[str] = ()) -> Experiment:
        """The run's experiment, with its tuned settings, after overrides of settings that no weight depends on.

        Raises:
            InputError: as `trained_experiment`, or the tuned settings are damaged or do not fit.
        """
        tuned = self.load_tuned()
        if tuned is not None:
            try:
                self.trained_experiment(tuned.overrides)
            except InputError as error:
                raise InputError(f"{self.tuned}: {error}; `tfpanoptic tune {self.path} --reset` removes it") from None
        return self.trained_experiment([*(tuned.overrides if tuned else ()), *overrides])

    def trained_experiment(self, overrides: Sequence[str] = ()) -> Experiment:
        """The run's experiment as it was trained, without tuned settings, after overrides.

        Raises:
            InputError: not a run folder, or an override of another setting, of an unknown key or with a wrong value.
        """
        if not self.config.is_file():
            raise InputError(f"{self.path}: not a run folder; expected a config.yaml in it")
        require_changeable(overrides)
        return Experiment.from_yaml(self.config, overrides)

    def load_tuned(self) -> TunedSettings | None:
        """What `tfpanoptic tune` wrote, if it did.

        Raises:
            InputError: the file is damaged.
        """
        return read_tuned(self.tuned) if self.tuned.is_file() else None

    def tuned_lines(self, overrides: Sequence[str] = ()) -> list[str]:
        """Lines for people that say which tuned settings hold, and whether they were found for the present weights.

        Args:
            overrides: settings that hold in place of tuned ones.
        """
        tuned = self.load_tuned()
        given = {override.partition("=")[0].strip() for override in overrides}
        changes = tuned.changes(given) if tuned is not None else ""
        if tuned is None or not changes:
            return []
        lines = [f"tuned settings hold: {changes} ({self.tuned})"]
        step = self.best_step()
        if step != tuned.step:
            lines.append(f"they were found for other weights, of step {tuned.step}, and the best are now of {step}")
        return lines

    def best_step(self) -> int | None:
        """The step of the best weights; None where no evaluation chose them."""
        if not self.best_score.is_file():
            return None
        return json.loads(self.best_score.read_text(encoding="utf-8"))["step"]

    def load_categories(self) -> CategoryTable:
        """The run's category table."""
        if not self.categories.is_file():
            raise InputError(f"{self.path}: no categories.json; the run did not start training")
        try:
            return CategoryTable.from_json(self.categories.read_text(encoding="utf-8"))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.categories}: damaged ({error})") from None

    def weights(self) -> Path:
        """The best weights, or the last ones where no evaluation was reached.

        Raises:
            InputError: there are none yet.
        """
        for path in (self.best_weights, self.last_weights):
            if path.is_file():
                return path
        raise InputError(f"{self.path}: no weights yet; expected best.safetensors or last.safetensors")

    def licence(self, header: str | None = None) -> str:
        """The licence of the weights as their publisher tells it; of a training, "unknown" and what it started from.

        What it started from is named with its own licence, where that is known.

        Args:
            header: what the weights' own header says, for a folder that says nothing.

        Raises:
            InputError: the file that tells it is damaged.
        """
        path = next((path for path in (self.origin, self.initial_weights) if path.is_file()), None)
        if path is None:
            return header or UNKNOWN_LICENCE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if path == self.origin:
                return str(content["licence"])
            names = [_start(report["path"], report.get("licence")) for report in content]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged ({error})") from None
        return f"{UNKNOWN_LICENCE}; training started from {' and '.join(names)}"


def _start(path: str, licence: str | None) -> str:
    """The file that a training started from, in short, with its licence where that is known."""
    name = "/".join(Path(path).parts[-2:])
    return name if licence in (None, UNKNOWN_LICENCE) else f"{name} ({licence})"


def _rank(score: float | None) -> float:
    return -1.0 if score is None else score


def _flat(settings: dict, prefix: str = "") -> dict[str, object]:
    """Nested settings keyed by their path, `training.steps`."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
