"""The input-size policy with larger inputs: what the size of the network's input costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import resized_size

RULES = ("short_side", "long_side", "size")
# Longest side of a doubled input that is tried. Own choice: larger ones hardly fit a GPU in training.
LARGEST = 2048


def input_relaxations(config: InputConfig, sizes: Sequence[tuple[int, int]]) -> list[tuple[dict[str, Any], Any]]:
    """What is told of each relaxation (as of `architecture.Relaxation`), and the policy with it.

    Args:
        config: the policy.
        sizes: (height, width) of the files.
    """
    rule = next((name for name in RULES if getattr(config, name) is not None), None)
    resized = [resized_size(*size, config) for size in sizes]
    found = []
    if rule is not None and any(min(new) < min(old) for new, old in zip(resized, sizes, strict=True)):
        own_size = config.model_copy(update={rule: None, "max_long_side": None})
        advice = "raise it or leave it out: small segments get lost when images shrink"
        found.append((_told(f"input.{rule}", str(getattr(config, rule)), "the files' own size", advice), own_size))
    if resized and 2 * max(max(size) for size in resized) <= LARGEST:
        found.append(_doubled(config, rule, resized))
    return found


def _doubled(config: InputConfig, rule: str | None, resized: list[tuple[int, int]]) -> tuple[dict[str, Any], Any]:
    """Twice the sides."""
    twice: Any
    if rule is None:
        now, rule, limit = "the files' own size", "short_side", None
        twice = 2 * round(statistics.median(min(size) for size in resized))
    else:
        value, limit = getattr(config, rule), config.max_long_side and 2 * config.max_long_side
        now, twice = str(value), [2 * side for side in value] if rule == "size" else 2 * value
    larger = config.model_copy(update={"max_long_side": limit, rule: tuple(twice) if rule == "size" else twice})
    return _told(f"input.{rule}", now, str(twice), "enlarge the input: every object gets more cells"), larger


def _told(setting: str, found: str, relaxed: str, advice: str) -> dict[str, Any]:
    return {"setting": setting, "found": found, "relaxed": relaxed, "advice": advice, "possible": True}
