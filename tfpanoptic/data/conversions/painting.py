"""Objects whose masks may overlap, painted into one segment map."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows

# The category of what is to be void, whatever else would fill it.
VOID = 0


@dataclass(frozen=True, eq=False)
class Layer:
    """The mask of an object or of a part of it.

    Attributes:
        mask: bool `[h, w]`, cut to its own box.
        corner: (y, x) of the box.
        category: our id, or `VOID`.
        iscrowd: whether it is a crowd of things.
        object: layers of one object have the same key; stuff is one object a category, whatever this says.
        place: what messages call it.
    """

    mask: np.ndarray
    corner: tuple[int, int]
    category: int
    iscrowd: bool
    object: Hashable
    place: str

    @cached_property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.mask))


def cut_out(mask: np.ndarray) -> tuple[np.ndarray, tuple[int, int]] | None:
    """A mask, bool `[H, W]`, cut to its box, and the box's (y, x); None for one without a pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    top, left = int(rows[0]), int(columns[0])
    return mask[top : rows[-1] + 1, left : columns[-1] + 1].copy(), (top, left)


def paint(
    layers: Iterable[Layer],
    size: tuple[int, int],
    categories: CategoryTable,
    overlap: str,
    tally: Tally,
    background: np.ndarray | None = None,
) -> SegmentMap:
    """The segment map of layers; ids count from 1 in the order of the layers.

    Where layers overlap, crowds lie below. Of the others the later ones lie on top ("later"); or stuff lies at the
    bottom, and the smaller ones lie on top, of equal ones the later ("smaller"). Own choice: a small object in front of
    a large one is the usual case, as a tie on a person.

    Args:
        layers: in the order of the source.
        size: (height, width).
        categories: what the layers' categories mean.
        overlap: "smaller" or "later".
        tally: gets "covered" and "partly-covered".
        background: our ids of stuff `[H, W]` for the pixels that no layer has, 0 for void.
    """
    layers = list(layers)
    numbers: dict[Hashable, int] = {}
    keys = [_key(layer, categories) for layer in layers]
    for key in keys:
        numbers.setdefault(key, len(numbers) + 1)
    ids = np.zeros(size, np.int32)
    for place in _order(layers, categories, overlap):
        layer, (top, left) = layers[place], layers[place].corner
        height, width = layer.mask.shape
        window = ids[top : top + height, left : left + width]
        window[layer.mask] = -1 if layer.category == VOID else numbers[keys[place]]
    if background is not None:
        _fill(ids, background, numbers)
    _tell_covered(layers, keys, numbers, ids, categories, tally)
    return _segments(layers, keys, numbers, ids, categories)


def _key(layer: Layer, categories: CategoryTable) -> Hashable:
    """What tells objects apart; of stuff, the category alone."""
    return layer.category if not categories.isthing[layer.category] else ("thing", layer.category, layer.object)


def _order(layers: list[Layer], categories: CategoryTable, overlap: str) -> list[int]:
    """Places of the layers from the lowest to the topmost."""
    if overlap == "later":
        return sorted(range(len(layers)), key=lambda place: not layers[place].iscrowd)

    def height(place: int) -> tuple[int, int]:
        layer = layers[place]
        level = 0 if not categories.isthing[layer.category] else 1 if layer.iscrowd else 2
        return level, -layer.area

    return sorted(range(len(layers)), key=height)


def _fill(ids: np.ndarray, background: np.ndarray, numbers: dict[Hashable, int]) -> None:
    """Gives the pixels without an id those of the background's categories."""
    free = ids == 0
    present = np.setdiff1d(background[free], [VOID]).tolist()
    for category in present:
        numbers.setdefault(category, len(numbers) + 1)
    ids[free] = relabel(background, present, [numbers[category] for category in present])[free]


def _tell_covered(
    layers: list[Layer],
    keys: list[Hashable],
    numbers: dict[Hashable, int],
    ids: np.ndarray,
    categories: CategoryTable,
    tally: Tally,
) -> None:
    areas = extents(ids).of(np.arange(len(numbers) + 1)).areas
    parts: dict[Hashable, list[Layer]] = {}
    for layer, key in zip(layers, keys, strict=True):
        if categories.isthing[layer.category]:
            parts.setdefault(key, []).append(layer)
    for key, own in parts.items():
        area, left = _joint_area(own, ids.shape), int(areas[numbers[key]])
        if left == 0:
            tally.add("covered", f"{own[0].place}, {area} pixels")
        elif left < area:
            tally.add("partly-covered", f"{own[0].place}, {left} of {area} pixels left")


def _joint_area(layers: list[Layer], size: tuple[int, ...]) -> int:
    """Pixels of the union."""
    if len(layers) == 1:
        return layers[0].area
    union = np.zeros(size, bool)
    for layer in layers:
        (top, left), (height, width) = layer.corner, layer.mask.shape
        union[top : top + height, left : left + width] |= layer.mask
    return int(np.count_nonzero(union))


def _segments(
    layers: list[Layer],
    keys: list[Hashable],
    numbers: dict[Hashable, int],
    ids: np.ndarray,
    categories: CategoryTable,
) -> SegmentMap:
    """The segment map of the painted numbers, counted anew without those that have no pixel."""
    category_of = {number: key for key, number in numbers.items() if isinstance(key, int)}
    crowds = {}
    for layer, key in zip(layers, keys, strict=True):
        if categories.isthing[layer.category]:
            category_of[numbers[key]], crowds[numbers[key]] = layer.category, layer.iscrowd
    found = extents(ids)
    left = found.ids > 0
    old, areas = found.ids[left], found.areas[left]
    new = np.arange(1, len(old) + 1)
    rows = segment_rows(
        new, [category_of[number] for number in old.tolist()], [crowds.get(n, False) for n in old.tolist()], areas
    )
    return SegmentMap(relabel(ids, old, new), rows)
