"""The findings of one check: how often each kind was met, and its first cases."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tfpanoptic.doctor.kinds import KINDS

LEVELS = ("error", "warning", "info")
# Examples that are kept of each finding.
MOST_EXAMPLES = 10


class Findings:
    """The findings of one check of one split, or of a comparison of two."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        # File name of the image that each example is about; None for those about no single one.
        self._images: dict[str, list[str | None]] = {}

    def add(self, code: str, example: str, image: str | None = None) -> None:
        """One more case of a kind.

        Args:
            code: the kind.
            example: what it is, and where.
            image: file name of the image that it is about, if it is about one.

        Raises:
            KeyError: no such kind; its cases would be lost.
        """
        if code not in KINDS:
            raise KeyError(code)
        self._counts[code] += 1
        examples = self._examples.setdefault(code, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(example)
            self._images.setdefault(code, []).append(image)

    def to_list(self) -> list[dict[str, Any]]:
        """`{"level", "code", "what", "count", "examples", "images", "advice"}` of each kind, errors first."""
        found = [
            {
                "level": kind.level,
                "code": code,
                "what": kind.what,
                "count": self._counts[code],
                "examples": self._examples[code],
                "images": list(dict.fromkeys(name for name in self._images[code] if name is not None)),
                "advice": kind.advice,
            }
            for code, kind in KINDS.items()
            if self._counts[code]
        ]
        return sorted(found, key=lambda finding: LEVELS.index(finding["level"]))
