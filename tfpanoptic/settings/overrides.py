"""Settings given as `key.path=value`: which arguments are such, and which ones a trained model takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tfpanoptic.errors import InputError

# Grouping and merging come after the network, and views before it: the weights do not depend on their settings. Nor do
# they on the largest image, which memory limits.
CHANGEABLE = ("model.postprocess.", "test_time.", "input.max_long_side=")


def is_override(argument: str) -> bool:
    """Whether an argument is a setting: it has a `=`, and nothing of that name exists."""
    try:
        return "=" in argument and not Path(argument).exists()
    except (OSError, ValueError):
        return True  # too long for a file's name


def split_overrides(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """The other arguments, and those that are settings, each in their order."""
    arguments = list(arguments)
    return [a for a in arguments if not is_override(a)], [a for a in arguments if is_override(a)]


def require_changeable(overrides: Sequence[str]) -> None:
    """Refuses settings that a trained model was trained with.

    Raises:
        InputError: an override is none of `model.postprocess`, `test_time` and `input.max_long_side`.
    """
    for override in overrides:
        if not override.strip().startswith(CHANGEABLE) or "=" not in override:
            raise InputError(
                f"override {override!r}: expected model.postprocess.key=value, test_time.key=value or "
                "input.max_long_side=number; "
                "any other setting of a trained model would need training"
            )
