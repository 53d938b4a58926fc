"""What the adapters share: arrays and entries as other packages give them, names of categories, overlapping masks."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import MAX_INT32, finite_number, flag, require_keys
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows

# What a label or class id of another package means: a name under each id, or names in the order of ids from 0.
Names = Mapping[int, str] | Sequence[str]


class Segment(NamedTuple):
    """A segment of another package: its id there, our category id, and what else it says."""

    id: int
    category: int
    score: float = 1.0
    iscrowd: bool = False


def array_of(value: Any, place: str) -> np.ndarray:
    """The array of an array or of a tensor of any package, on any device.

    Raises:
        InputError: it cannot be read as one; the message names `place`.
    """
    for step in ("detach", "cpu"):  # of PyTorch, whose tensors NumPy takes only without gradient and from main memory
        value = getattr(value, step, lambda value=value: value)()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{place}: expected an array or a tensor, found {reprlib.repr(value)} ({error})") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{place}: expected an array or a tensor of numbers, found {reprlib.repr(value)}")
    return array


def ids_of(value: Any, place: str) -> np.ndarray:
    """Segment id of each pixel, int64 `[H, W]`, of an array or a tensor; of whole numbers, floating ones too.

    Raises:
        InputError: another shape, or values that are no whole numbers of 32 bits.
    """
    array = array_of(value, place)
    if array.ndim != 2 or not array.size:
        raise InputError(f"{place}: expected the segment id of each pixel, [H, W], found shape {list(array.shape)}")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise InputError(f"{place}: expected whole numbers, found {array.dtype} with fractions or no finite ones")
    low, high = array.min(), array.max()
    if low < -MAX_INT32 or high >= MAX_INT32:
        raise InputError(f"{place}: segment ids must fit 32 bits, found {low}..{high}")
    return array.astype(np.int64)


def entry_of(entry: Any, keys: frozenset[str]) -> dict[str, Any]:
    """An entry of a list of segments, with Python's numbers in place of those of NumPy or PyTorch.

    Raises:
        InputError: it is no dict, or lacks one of the keys; the caller adds the entry's place.
    """
    require_keys(entry, keys)
    return {key: value.item() if getattr(value, "shape", None) == () else value for key, value in entry.items()}


def score_of(entry: dict[str, Any]) -> float:
    """The score of an entry, 1 where it has none."""
    return 1.0 if entry.get("score") is None else finite_number(entry, "score")


def crowd_of(entry: dict[str, Any], category: Category) -> bool:
    """Whether an entry says that it is a crowd.

    Raises:
        InputError: a crowd of stuff.
    """
    crowd = "iscrowd" in entry and flag(entry, "iscrowd")
    if crowd and not category.isthing:
        raise InputError(f"iscrowd is 1, but {category.name} is stuff; only things can be crowds")
    return crowd


def names_of(names: Any, origin: str) -> dict[int, str]:
    """The name of each id of another package, from names under their ids or in the order of ids from 0.

    Raises:
        InputError: another structure; the message names `origin`.
    """
    if isinstance(names, Mapping):
        return dict(names)
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise InputError(f"{origin}: expected names under their ids, or a list of names, found {reprlib.repr(names)}")
    return dict(enumerate(names))


def category_at(key: str, number: int, names: dict[int, str], origin: str, categories: CategoryTable) -> Category:
    """The category that an id of another package means, by its name.

    Args:
        key: where the id stands, for messages.
        number: the id.
        names: what ids mean.
        origin: where the names stand, for messages.
        categories: those of the result.

    Raises:
        InputError: an id without a name, or a name that no category has.
    """
    if number not in names:
        raise InputError(f"{key} {number} has no name in {origin}, which has {reprlib.repr(list(names))}")
    return category_named(f"{key} {number} of {origin}", names[number], categories)


def category_named(origin: str, name: Any, categories: CategoryTable) -> Category:
    """The category of a name.

    Raises:
        InputError: none has it; the message names `origin`.
    """
    category = categories.by_name().get(name)
    if category is None:
        known = reprlib.repr([c.name for c in categories])
        raise InputError(f"{origin} is {name!r}, which is no category of {known}")
    return category


def number_of(category: Category, names: dict[int, str], origin: str) -> int:
    """The id under which another package knows a category.

    Raises:
        InputError: the category's name stands there not once.
    """
    found = [number for number, name in names.items() if name == category.name]
    if len(found) != 1:
        raise InputError(f"{origin}: expected the name {category.name!r} once, found it {len(found)} times")
    return found[0]


def segment_map_of(ids: np.ndarray, segments: Sequence[Segment]) -> SegmentMap:
    """The segment map of pixels and entries; areas are counted.

    Entries without a pixel are left out, pixels of no entry are void. Ids stay as they are, unless one of them is 0,
    which is void here: then each is one more.

    Args:
        ids: int64 `[H, W]`.
        segments: with distinct ids.
    """
    given = np.array([segment.id for segment in segments], np.int64)
    own = given + 1 if (given == 0).any() else given
    kept = extents(ids).of(given).areas
    rows = [row for row, area in enumerate(kept) if area]
    table = segment_rows(
        own[rows],
        [segments[row].category for row in rows],
        [segments[row].iscrowd for row in rows],
        kept[rows],
        [segments[row].score for row in rows],
    )
    return SegmentMap(relabel(ids, given, own), table)


def listed_ids(segment_map: SegmentMap) -> np.ndarray:
    """Segment id of each pixel, int32 `[H, W]`, 0 where it is void or of no row."""
    ids = segment_map.segments["id"]
    return relabel(segment_map.ids, ids, ids)


def painted(masks: Iterable[np.ndarray], segments: Sequence[Segment], shape: tuple[int, int]) -> SegmentMap:
    """The segment map of masks that may overlap.

    A pixel of several goes to the one with the best score, of equal ones to the first; to a crowd only where no other
    is.

    Args:
        masks: bool `[H, W]` of each segment, in the order of `segments`.
        segments: with distinct ids above 0.
        shape: (height, width).
    """
    order = sorted(range(len(segments)), key=lambda row: (segments[row].iscrowd, -segments[row].score))
    place = np.argsort(order)  # of each row in that order
    first = np.full(shape[0] * shape[1], len(segments), np.int32)
    for row, mask in enumerate(masks):
        pixels = np.flatnonzero(mask)
        first[pixels] = np.minimum(first[pixels], place[row])
    ids = np.array([*(segments[row].id for row in order), 0], np.int64)
    return segment_map_of(ids[first].reshape(shape), segments)
