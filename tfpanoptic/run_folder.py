"""The run folder: everything that a training run leaves behind.

config.yaml           the resolved configuration
categories.json       the category table
environment.json      versions and devices
metrics.jsonl         losses every few steps, PQ at every evaluation
checkpoints/          the latest two, to resume from
best.safetensors      the weights with the best PQ, and best.json, which says when
last.safetensors      the weights after the last step
pictures/             overlays of the first validation images at the latest evaluation
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tfpanoptic.atomic import new_folder, replace_file, require_free
from tfpanoptic.categories import CategoryTable
from tfpanoptic.environment import describe_environment
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.settings.overrides import require_changeable

# Only a folder with nothing else in it is ever replaced.
CONTENTS = (
    "config.yaml",
    "categories.json",
    "environment.json",
    "metrics.jsonl",
    "checkpoints",
    "best.safetensors",
    "best.json",
    "last.safetensors",
    "pictures",
    "saved_model",
)


class RunFolder:
    """The paths of a run, and what is written where."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.categories = self.path / "categories.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.best_weights = self.path / "best.safetensors"
        self.best_score = self.path / "best.json"
        self.last_weights = self.path / "last.safetensors"
        self.pictures = self.path / "pictures"

    def require_usable(self, experiment: Experiment, resume: bool, overwrite: bool) -> None:
        """Checks that a run may start or go on here; changes nothing.

        Raises:
            InputError: the folder holds a run and neither `resume` nor `overwrite` is given; it holds
                something else; or a run to resume has another configuration, or only a model that `save` wrote.
        """
        if resume and overwrite:
            raise InputError("--resume and --overwrite exclude each other")
        if resume:
            ours, theirs = _flat(experiment.to_dict()), _flat(self.load_experiment().to_dict())
            other = [key for key in (*theirs, *(ours.keys() - theirs.keys())) if ours.get(key) != theirs.get(key)]
            if other:
                listed = ", ".join(f"{key} is {theirs.get(key)} there and {ours.get(key)} here" for key in other[:3])
                raise InputError(f"{self.config}: cannot resume with other settings: {listed}")
            if self.last_weights.is_file() and not self.checkpoints.is_dir():
                raise InputError(
                    f"{self.path}: has weights, but no checkpoint to go on from; "
                    f"train into a new folder with training.initial_weights={self.last_weights}"
                )
            return
        if self.config.is_file() and not overwrite:
            raise InputError(f"{self.path}: holds a run; give --resume to go on or --overwrite to replace it")
        require_free(self.path, CONTENTS, overwrite)

    def create(self, experiment: Experiment) -> None:
        """An empty folder with the configuration; an older run in it is gone then."""
        if self.path.exists():
            shutil.rmtree(self.path)
        replace_file(self.config, experiment.to_yaml())

    def save(self, segmenter, overwrite: bool = False) -> None:
        """Writes a segmenter that another loop has trained: its configuration, categories, environment and weights.

        Raises:
            InputError: as `atomic.new_folder`.
        """
        with new_folder(self.path, CONTENTS, overwrite) as path:
            folder = RunFolder(path)
            replace_file(folder.config, segmenter.experiment.to_yaml())
            folder.describe(segmenter)
            segmenter.save_weights_file(folder.last_weights)

    def rewind(self, step: int) -> None:
        """Drops records from after `step`: the resumed run will write them again."""
        if self.metrics.is_file():
            lines = [line for line in self.metrics.read_text(encoding="utf-8").splitlines(True) if line.endswith("\n")]
            replace_file(self.metrics, "".join(line for line in lines if json.loads(line)["step"] <= step))
        if self.best_score.is_file() and json.loads(self.best_score.read_text(encoding="utf-8"))["step"] > step:
            self.best_score.unlink()

    def describe(self, segmenter, strategy=None) -> None:
        """Writes the category table and the environment, with the strategy if one is given."""
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

    def keep_best(self, step: int, score: float | None, segmenter) -> bool:
        """Keeps the weights if `score` is the best so far; says whether it is."""
        score = -1.0 if score is None else score
        if self.best_score.is_file():
            best = json.loads(self.best_score.read_text(encoding="utf-8"))
            if score <= best["pq"]:
                return False
        segmenter.save_weights_file(self.best_weights)
        replace_file(self.best_score, json.dumps({"step": step, "pq": score}) + "\n")
        return True

    def load_experiment(self, overrides: Sequence[str] = ()) -> Experiment:
        """The run's experiment, after overrides of settings that the weights do not depend on.

        Raises:
            InputError: not a run folder, or an override of another setting, of an unknown key or with a wrong value.
        """
        if not self.config.is_file():
            raise InputError(f"{self.path}: not a run folder; expected a config.yaml in it")
        require_changeable(overrides)
        return Experiment.from_yaml(self.config, overrides)

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


def _flat(settings: dict, prefix: str = "") -> dict[str, object]:
    """Nested settings keyed by their path, `training.steps`."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
