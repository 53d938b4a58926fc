"""A setting moved out of the way."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from tfpanoptic.architecture import Relaxation


def relaxed(config: Any, setting: str, value: Any, advice: str) -> Relaxation:
    """The configuration of a model with another value of one setting.

    Args:
        config: of the model.
        setting: its path below `model`, such as `postprocess.stuff_area`.
        value: to try.
        advice: what a person may do about it.
    """
    found = attrgetter(setting)(config)
    return Relaxation(f"model.{setting}", str(found), str(value), _with(config, setting.split("."), value), advice)


def _with(settings: Any, names: list[str], value: Any) -> Any:
    """The settings with `value` at the end of a path of names."""
    name, *further = names
    return settings.model_copy(update={name: _with(getattr(settings, name), further, value) if further else value})
