"""Coordinate descent: one setting after the other is set to its best value, until none gains any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# A search that still moves afterwards trades hundredths of a point.
ROUNDS = 5
# What a move must gain, a twentieth of a point of PQ: less is noise, and costs a round. Own choice.
LEAST_GAIN = 0.0005

Settings = Mapping[str, Any]


class Descent:
    """The search; no combination of values is scored twice.

    Args:
        start: setting -> present value.
        values: setting -> the values to try; the present one is among them.
        score: gives what is to be highest for some settings.
        start_score: that of the present values.

    Attributes:
        best: the settings that the search has come to.
    """

    def __init__(
        self,
        start: Settings,
        values: Mapping[str, tuple[Any, ...]],
        score: Callable[[Settings], float],
        start_score: float,
    ):
        self.best = dict(start)
        self._values = values
        self._score = score
        self._scores = {_key(start): start_score}

    @property
    def trials(self) -> int:
        """Number of combinations that were scored."""
        return len(self._scores)

    def left(self, setting: str) -> int:
        """How many combinations `move` would score."""
        return sum(_key(settings) not in self._scores for settings in self._around(setting))

    def move(self, setting: str) -> bool:
        """Sets one setting to its best value, the first of equal ones, if that gains enough; whether it did."""
        around = self._around(setting)
        for settings in around:
            key = _key(settings)
            if key not in self._scores:
                self._scores[key] = self._score(settings)
        best = max(around, key=lambda settings: self._scores[_key(settings)])
        if self._scores[_key(best)] < self._scores[_key(self.best)] + LEAST_GAIN:
            return False
        self.best = best
        return True

    def sweep(self) -> dict[str, list[dict[str, Any]]]:
        """Setting -> `{"value", "score"}` of each of its values, with the others at their best.

        What was not scored, because the rounds ended before, is left out.
        """
        return {
            setting: [
                {"value": settings[setting], "score": self._scores[_key(settings)]}
                for settings in self._around(setting)
                if _key(settings) in self._scores
            ]
            for setting in self._values
        }

    def _around(self, setting: str) -> list[dict[str, Any]]:
        """The best settings with each value of one of them."""
        return [{**self.best, setting: value} for value in self._values[setting]]


def _key(settings: Settings) -> tuple:
    return tuple(settings.values())
