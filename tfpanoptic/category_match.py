"""The categories of a weight file and of a model, matched by name and kind, down to the outputs of each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfpanoptic.architecture import CategoryLayer
from tfpanoptic.categories import CategoryTable


class Outputs(NamedTuple):
    """What the outputs of a model or of a weight file stand for.

    Attributes:
        categories: the category table.
        channels: head -> category id of each of its channels, 0 for void.
    """

    categories: CategoryTable
    channels: Mapping[str, tuple[int, ...]]


class CategoryMatch(NamedTuple):
    """Which categories of a file and of a model are the same: equal in name, and both things or both stuff.

    Attributes:
        taken: names of those of both.
        left: names of those of the model alone.
        unused: names of those of the file alone.
        other_kind: names that are a thing in one and stuff in the other; they are among `left` and `unused`, too.
        reordered: whether those of both have another order in the file.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]
    other_kind: tuple[str, ...] = ()
    reordered: bool = False

    @property
    def same(self) -> bool:
        """Whether the file and the model have the same categories, in any order."""
        return not self.left and not self.unused

    def without_layers(self) -> CategoryMatch:
        """What is left of it where no layer of categories could be taken."""
        if self.same and not self.reordered:
            return self
        return CategoryMatch((), (*self.taken, *self.left), (*self.taken, *self.unused), self.other_kind)

    def __str__(self) -> str:
        if self.same:
            return "categories in another order, outputs put in the model's by name" if self.reordered else ""
        parts = [f"{len(self.taken)} by name and kind ({first_names(self.taken)})"] if self.taken else []
        if self.left:
            parts.append(f"{len(self.left)} as initialised ({first_names(self.left)})")
        if self.unused:
            parts.append(f"{len(self.unused)} of the file not used ({first_names(self.unused)})")
        if self.other_kind:
            parts.append(f"thing in one and stuff in the other: {first_names(self.other_kind)}")
        return f"categories: {', '.join(parts)}"


def match_categories(theirs: CategoryTable, ours: CategoryTable) -> CategoryMatch:
    """The match of a file's and a model's categories."""
    their_kinds, our_kinds = ({c.name: c.isthing for c in table} for table in (theirs, ours))
    both = [name for name, isthing in our_kinds.items() if their_kinds.get(name) == isthing]
    return CategoryMatch(
        taken=tuple(both),
        left=tuple(name for name in our_kinds if name not in both),
        unused=tuple(name for name in their_kinds if name not in both),
        other_kind=tuple(name for name in our_kinds if name in their_kinds and name not in both),
        reordered=[name for name in their_kinds if name in both] != both,
    )


def equal_outputs(layer: CategoryLayer, theirs: Outputs, ours: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """The outputs of a layer that mean the same in a file and in a model.

    Void's are taken along with those of a category, never alone.

    Args:
        layer: of the model's architecture; both must have its head.
        theirs, ours: of the file and of the model.

    Returns:
        Their places in the file and in the model, both int64 `[n]`; n may be 0.
    """
    their_places, our_places = ({m: i for i, m in enumerate(_meanings(layer, side))} for side in (theirs, ours))
    common = [meaning for meaning in our_places if meaning in their_places]
    if not any(name for name, _, _ in common):
        common = []
    return np.array([their_places[m] for m in common], np.int64), np.array([our_places[m] for m in common], np.int64)


def count_outputs(layer: CategoryLayer, outputs: Outputs) -> int:
    """How many outputs the layer has; 0 without its head."""
    return len(_meanings(layer, outputs)) if layer.head in outputs.channels else 0


def _meanings(layer: CategoryLayer, outputs: Outputs) -> list[tuple[str, bool, int]]:
    """(name, thing or not, number among the channel's) of each output; the name of void is empty."""
    kinds = {0: ("", False), **{c.id: (c.name, c.isthing) for c in outputs.categories}}
    ids = [i for i in outputs.channels[layer.head] if i or layer.void]
    return [(*kinds[i], k) for i in ids for k in range(layer.outputs_each)]


def first_names(names: Sequence[str], most: int = 4) -> str:
    """The first few of some names, for a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
