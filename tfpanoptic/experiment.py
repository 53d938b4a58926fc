"""One experiment: data, input size, augmentation, model, training and views at test time, from one YAML file.

Reading and checking one needs neither TensorFlow nor Keras.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import model_validator

from tfpanoptic.architecture import Architecture
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data import DATASETS
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.errors import SettingError
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.settings.augmentation import AugmentConfig
from tfpanoptic.settings.config import Named, StrictConfig, read_yaml, validate
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.paths import absolute_path, found_path, with_paths
from tfpanoptic.settings.sizes import Grid, require_fitting
from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.settings.views import ViewsConfig

# Panoptic-DeepLab on the bundled photos of nuclei, trained from scratch in minutes on two cores.
DEMO_CONFIG = Path(__file__).with_name("demo.yaml")


class Experiment(StrictConfig):
    """Everything that decides the outcome of a run.

    `data.name` is a key of `DATASETS`, `model.name` one of `ARCHITECTURES`; the other keys of these two sections are
    those of the record's own `config`.
    """

    data: Annotated[Any, Named(DATASETS)]
    # The same in training, `segment`, `evaluate` and every export.
    input: InputConfig = InputConfig()
    augment: AugmentConfig
    model: Annotated[Any, Named(ARCHITECTURES)]
    training: TrainingConfig = TrainingConfig()
    # In `segment`, `evaluate`, `predict` and exports, and the evaluations of a training run.
    test_time: ViewsConfig = ViewsConfig()

    @model_validator(mode="after")
    def _sizes_fit_the_grid(self) -> Experiment:
        require_fitting("augment.crop", self.augment.crop, self.grid)
        if self.input.pad_to is not None:
            require_fitting("input.pad_to", self.input.pad_to, self.grid)
        return self

    @model_validator(mode="after")
    def _views_are_known(self) -> Experiment:
        if self.test_time.augments and self.architecture.views is None:
            able = ", ".join(name for name, record in ARCHITECTURES.items() if record.views is not None)
            raise SettingError("test_time", f"flips and scales are for {able}; {self.model.name} has no use for them")
        return self

    @model_validator(mode="after")
    def _training_reaches_the_network_of_inference(self) -> Experiment:
        last_steps = self.architecture.last_steps
        for setting, last in (last_steps(self.model) if last_steps else {}).items():
            if self.training.steps < last:
                message = f"expected at least {last}, where model.{setting} ends, found {self.training.steps}"
                raise SettingError("training.steps", message)
        return self

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
        """The experiment of a YAML file, after `key.path=value` overrides.

        Relative paths in the file start at its folder where that leads to something, else at the working directory;
        those of overrides at the working directory. Where both lead to something, standard error says which is taken.

        Raises:
            InputError: the file cannot be read, or a key, type or value in it is wrong.
        """
        experiment = cls.from_dict(read_yaml(path, overrides), str(path))
        given = tuple(override.partition("=")[0].strip() for override in overrides)

        def found(setting: str, value: str) -> str:
            if any(setting == key or setting.startswith(f"{key}.") for key in given):
                return found_path(value, Path())[0]
            taken, other = found_path(value, Path(path).parent)
            if other is not None:
                print(f"{path}: {setting}: taking {taken}, beside the configuration, not {other}", file=sys.stderr)
            return taken

        return with_paths(experiment, found)

    def with_absolute_paths(self) -> Experiment:
        """The same with every path from the root, so that it means the same in another folder."""
        return with_paths(self, lambda setting, value: absolute_path(value))

    @classmethod
    def from_dict(cls, settings: dict[str, Any], origin: str = "configuration") -> Experiment:
        """The experiment of a nested mapping, as `to_dict` gives it.

        Raises:
            InputError: a key, type or value in it is wrong; `origin` is in the message.
        """
        return validate(cls, settings, origin)

    def to_dict(self) -> dict[str, Any]:
        """The resolved configuration, with every default, as plain values."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """The resolved configuration as YAML text; `from_yaml` reads it back."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    @property
    def architecture(self) -> Architecture:
        """The record of the model's architecture."""
        return ARCHITECTURES[self.model.name]

    @property
    def grid(self) -> Grid:
        """How the cells of the model's outputs lie on its input."""
        return self.architecture.grid(self.model)

    def load_data(self, split: str) -> Dataset:
        """The images and truth of a split: `train`, `val`, or `select` where some are set aside to choose weights.

        Raises:
            InputError: files are missing, unreadable or do not agree.
        """
        return DATASETS[self.data.name].load(self.data, split)

    def load_splits(self) -> dict[str, Dataset]:
        """Every split that a training run uses: `train`, what chooses the best weights, and `val`.

        Raises:
            InputError: as `load_data`.
        """
        return DATASETS[self.data.name].load_splits(self.data, dict.fromkeys(("train", self.data.chooses_on, "val")))

    def load_categories(self) -> CategoryTable:
        """The category table, after `data.remap`; reads no image."""
        return DATASETS[self.data.name].categories(self.data)
