"""What a conversion drops, changes or passes over: how often, with the first examples."""

from __future__ import annotations

from collections import Counter
from typing import Any

# Examples that are kept of each kind.
MOST_EXAMPLES = 5
# code: (what became of it, what it is). In the order in which they are told.
KINDS = {
    "photo-missing": ("left out", "image whose photo is not on the disk"),
    "image-damaged": ("left out", "image whose photo or truth cannot be used"),
    "no-truth": ("left out", "photo without any truth"),
    "json-other": ("left out", "JSON that holds no shapes"),
    "no-image": ("dropped", "annotation of an image that is not listed"),
    "no-mask": ("dropped", "object without a mask that can be drawn"),
    "no-pixels": ("dropped", "object so small that it has no pixel"),
    "covered": ("dropped", "object that others cover wholly"),
    "shape-kind": ("dropped", "shape of a kind that has no area"),
    "few-points": ("dropped", "part of an object: polygon of fewer than three points"),
    "outside": ("dropped", "part of an object: wholly outside the image"),
    "clipped": ("changed", "part of an object that crosses the border: clipped"),
    "partly-covered": ("changed", "object that others cover in part"),
    "turned": ("changed", "truth drawn on the stored photo: turned with it, as its EXIF orientation says"),
    "area": ("changed", "area of a segment: the number of its pixels now"),
    "flag-dropped": ("changed", "flag of a shape that is not kept"),
    "thing-in-stuff-map": ("passed over", "stuff map with values of things"),
    "orientation": ("kept", "photo with an EXIF orientation; truth taken as drawn on the upright photo"),
    "crowd": ("kept", "thing without a number of its own: a crowd"),
    "mostly-crowds": (
        "kept",
        "set of which most objects are crowds (iscrowd 1), which count as neither found nor missed; --no-crowds takes "
        "them for single objects, as tools mean them that write all masks so",
    ),
    "one-instance": ("kept", "instance map of one value: one instance; --components makes one of each connected part"),
    "no-segment": ("kept", "image without any segment"),
}


class Tally:
    """Counts and first examples of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, code: str, example: str, count: int = 1) -> None:
        """Counts one more case of a kind.

        Raises:
            KeyError: no such kind; its cases would be lost.
        """
        if code not in KINDS:
            raise KeyError(code)
        self.counts[code] += count
        examples = self.examples.setdefault(code, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(example)

    def join(self, other: Tally) -> None:
        """Takes over what another one counted."""
        for code, count in other.counts.items():
            self.counts[code] += count
            examples = self.examples.setdefault(code, [])
            examples += other.examples[code][: MOST_EXAMPLES - len(examples)]

    def to_list(self) -> list[dict[str, Any]]:
        """`{"code", "became", "what", "count", "examples"}` of each kind that was met."""
        return [
            {"code": code, "became": became, "what": what, "count": self.counts[code], "examples": self.examples[code]}
            for code, (became, what) in KINDS.items()
            if self.counts[code]
        ]
