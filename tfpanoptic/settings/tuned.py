"""Tuned settings: what `tfpanoptic tune` found for a trained model, kept beside its configuration."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tfpanoptic.errors import InputError

# The settings that tuning may change.
SECTION = "model.postprocess."


@dataclass(frozen=True)
class TunedSettings:
    """The content of `tuned.json`.

    Attributes:
        settings: setting, such as `model.postprocess.center_threshold`, -> its tuned value.
        trained: the same settings as they are in the configuration.
        step: of the weights that they were found for; None where no evaluation chose these.
        found: on what, when and with which gain, for people.
    """

    settings: dict[str, Any]
    trained: dict[str, Any]
    step: int | None = None
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def overrides(self) -> tuple[str, ...]:
        """The settings as `key.path=value`."""
        return tuple(override(setting, value) for setting, value in self.settings.items())

    def changes(self, without: Collection[str] = ()) -> str:
        """The settings with both values, for people, but for those of `without`."""
        return ", ".join(
            f"{setting.removeprefix(SECTION)} {self.trained.get(setting)} -> {value}"
            for setting, value in self.settings.items()
            if setting not in without
        )

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def override(setting: str, value: Any) -> str:
    """`key.path=value`, the value as YAML reads it back."""
    return f"{setting}={json.dumps(value)}"


def read_tuned(path: Path) -> TunedSettings:
    """What the file holds.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        tuned = TunedSettings(**content)
        right = all(setting.startswith(SECTION) for setting in tuned.settings.keys() | tuned.trained.keys())
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); `tfpanoptic tune {path.parent} --reset` removes it") from None
    if not right:
        raise InputError(
            f"{path}: damaged, expected settings of {SECTION}*, found {', '.join(tuned.settings)}; "
            f"`tfpanoptic tune {path.parent} --reset` removes it"
        )
    return tuned
