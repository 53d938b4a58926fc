"""One experiment: data, input size, augmentation, model and training, from one YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tfpanoptic.architecture import Architecture
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data import DATASETS
from tfpanoptic.data.augment import AugmentConfig
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.input_size import InputConfig
from tfpanoptic.errors import InputError
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.settings.config import StrictConfig, read_yaml, validate
from tfpanoptic.settings.training import TrainingConfig

# Panoptic-DeepLab on the bundled photos of nuclei, trained from scratch in minutes on two cores.
DEMO_CONFIG = Path(__file__).with_name("demo.yaml")


class _Sections(StrictConfig):
    """The top level of the file; `data` and `model` are checked by the dataset's and the architecture's own schema."""

    architecture: str
    data: dict[str, Any]
    input: InputConfig
    augment: AugmentConfig
    model: dict[str, Any]
    training: TrainingConfig = TrainingConfig()


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the outcome of a run; frozen.

    Attributes:
        architecture: the record from `ARCHITECTURES`.
        data: configuration of the dataset, of the class that `DATASETS` names.
        input: input-size policy, the same in training, `segment`, `evaluate` and every export.
        augment: augmentation of training images.
        model: configuration of the architecture.
        training: optimizer, schedule, steps and so on.
    """

    architecture: Architecture
    data: Any
    input: InputConfig
    augment: AugmentConfig
    model: Any
    training: TrainingConfig

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
        """The experiment of a YAML file, after `key.path=value` overrides.

        Raises:
            InputError: the file cannot be read, or a key, type or value in it is wrong.
        """
        return cls.from_dict(read_yaml(path, overrides), str(path))

    @classmethod
    def from_dict(cls, data: dict[str, Any], origin: str = "configuration") -> Experiment:
        """The experiment of a nested mapping, as `to_dict` gives it."""
        sections = validate(_Sections, data, origin)
        architecture = _known(ARCHITECTURES, sections.architecture, f"{origin}: architecture")
        settings = dict(sections.data)
        name = settings.get("name")
        kind = _known(DATASETS, name, f"{origin}: data.name")
        return cls(
            architecture=architecture,
            data=validate(kind.config, settings, origin, "data"),
            input=sections.input,
            augment=sections.augment,
            model=validate(architecture.config, sections.model, origin, "model"),
            training=sections.training,
        )

    def to_dict(self) -> dict[str, Any]:
        """The resolved configuration, with every default, as plain values."""
        parts = {key: getattr(self, key).model_dump(mode="json") for key in ("data", "input", "augment", "model")}
        return {
            "architecture": self.architecture.name,
            **parts,
            "training": self.training.model_dump(mode="json"),
        }

    def to_yaml(self) -> str:
        """The resolved configuration as YAML text; `from_yaml` reads it back."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    def load_data(self, split: str) -> Dataset:
        """The images and truth of a split, `train` or `val`.

        Raises:
            InputError: files are missing, unreadable or do not agree.
        """
        return DATASETS[self.data.name].load(self.data, split)

    def load_categories(self) -> CategoryTable:
        """The dataset's category table; reads no image."""
        return DATASETS[self.data.name].categories(self.data)


def _known(registry: dict[str, Any], name: Any, what: str) -> Any:
    if not isinstance(name, str) or name not in registry:
        raise InputError(f"{what}: expected one of {', '.join(registry)}, found {name!r}")
    return registry[name]
