"""Category and CategoryTable: what the pixels can be, and how files name it."""

from __future__ import annotations

import colorsys
import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tfpanoptic.errors import InputError, Sink, raise_first
from tfpanoptic.json_entry import MAX_INT32, flag, integer, require_keys, text
from tfpanoptic.panoptic_map import MAX_CATEGORY


@dataclass(frozen=True)
class Category:
    """One category.

    Attributes:
        id: 1..C, without gaps; 0 is void and no category.
        name: as the dataset spells it.
        isthing: True for countable things, False for stuff.
        color: (red, green, blue), 0..255.
        source_id: the dataset's own id, the one that files hold.
    """

    id: int
    name: str
    isthing: bool
    color: tuple[int, int, int]
    source_id: int


@dataclass(frozen=True)
class CategoryTable:
    """All categories of a dataset, in the order of their ids 1..C.

    Raises:
        InputError: no category, ids with gaps, a name or a source id twice.
    """

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        if not self.categories:
            raise InputError("a category table needs at least one category, found none")
        if [c.id for c in self.categories] != list(range(1, len(self.categories) + 1)):
            raise InputError(f"category ids must be 1..{len(self.categories)} in order, found {[c.id for c in self]}")
        for field in ("name", "source_id"):
            counts = Counter(getattr(c, field) for c in self.categories)
            twice = sorted(str(value) for value, count in counts.items() if count > 1)
            if twice:
                raise InputError(f"category {field} used twice: {', '.join(twice)}")

    def __len__(self) -> int:
        return len(self.categories)

    def __iter__(self) -> Iterator[Category]:
        return iter(self.categories)

    def __getitem__(self, category_id: int) -> Category:
        if not 1 <= category_id <= len(self.categories):
            raise KeyError(f"category id {category_id} is not in 1..{len(self.categories)}")
        return self.categories[category_id - 1]

    def require_panoptic_map(self, origin: str = "categories") -> CategoryTable:
        """The table itself, if the labels of a panoptic map can hold its categories.

        Files of segments and their evaluation need no such map, so a table may have more.

        Raises:
            InputError: there are more than 1,676; the message names `origin`.
        """
        if len(self.categories) > MAX_CATEGORY:
            found = len(self.categories)
            raise InputError(f"{origin}: at most {MAX_CATEGORY} categories fit a panoptic map, found {found}")
        return self

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids, 1..C."""
        return tuple(c.id for c in self.categories)

    @property
    def thing_ids(self) -> tuple[int, ...]:
        """Ids of the things, ascending."""
        return tuple(c.id for c in self.categories if c.isthing)

    @property
    def stuff_ids(self) -> tuple[int, ...]:
        """Ids of the stuff, ascending."""
        return tuple(c.id for c in self.categories if not c.isthing)

    @cached_property
    def isthing(self) -> np.ndarray:
        """Whether each category is a thing, bool `[C + 1]` by category id; False for void. Not to be written to."""
        mask = np.array([False, *(c.isthing for c in self.categories)])
        mask.setflags(write=False)
        return mask

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps: not the mask, which it would make writable."""
        return {"categories": self.categories}

    def by_source_id(self) -> dict[int, Category]:
        """Categories keyed by the dataset's own id."""
        return {c.source_id: c for c in self.categories}

    def by_name(self) -> dict[str, Category]:
        """Categories keyed by name."""
        return {c.name: c for c in self.categories}

    @classmethod
    def from_coco(cls, categories: Iterable[dict], origin: str = "categories") -> CategoryTable:
        """Table of the `categories` list of a COCO panoptic JSON, in ascending order of the file's ids.

        Args:
            categories: dicts with `id`, `name`, `isthing` and, optionally, `color`.
            origin: the file's name, for messages.

        Raises:
            InputError: an entry lacks a key (an instances JSON has no `isthing`), holds a value of another type
                than the format has, or repeats an id or a name.
        """
        return cls(read_coco_categories(categories, raise_first(origin)))

    def to_coco(self) -> list[dict]:
        """The `categories` list of a COCO panoptic JSON, under the dataset's own ids."""
        return [
            {
                "id": c.source_id,
                "name": c.name,
                "supercategory": c.name,
                "isthing": int(c.isthing),
                "color": list(c.color),
            }
            for c in self.categories
        ]

    def to_json(self) -> str:
        """The table as JSON text; `from_json` gives it back."""
        return json.dumps([asdict(c) for c in self.categories])

    @classmethod
    def of(cls, categories: CategoryTable | str) -> CategoryTable:
        """The table itself, or that of a text as `from_json` takes it: what Keras stores of an object is text."""
        return categories if isinstance(categories, CategoryTable) else cls.from_json(categories)

    @classmethod
    def from_json(cls, content: str) -> CategoryTable:
        """The table of a text that `to_json` wrote.

        Raises:
            InputError: another text.
        """
        try:
            entries = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"expected a category table, found no JSON ({error})") from None
        if not isinstance(entries, list):
            raise InputError(f"expected a category table, a list, found {reprlib.repr(entries)}")
        fields = [_fields(entry, "source_id", number) for number, entry in enumerate(entries)]
        ids = [integer(entry, "id", 1, MAX_INT32) for entry in entries]
        return cls(tuple(map(_category, ids, fields)))


def read_coco_categories(entries: Iterable[Any], sink: Sink) -> tuple[Category, ...]:
    """The categories of a COCO panoptic JSON that can be used, in ascending order of the file's ids.

    Args:
        entries: the list `categories`.
        sink: gets what is wrong, as "isthing-missing", "category-invalid", "category-twice" or, where nothing can be
            used, "no-category".
    """
    usable: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for number, entry in enumerate(entries):
        try:
            fields = _fields(entry, "id", number)
        except InputError as error:
            instances = isinstance(entry, dict) and "isthing" not in entry
            sink("isthing-missing" if instances else "category-invalid", str(error))
            continue
        name, source_id = fields["name"], fields["source_id"]
        if source_id in usable or name in names:
            twice = f"id used twice: {source_id}" if source_id in usable else f"name used twice: {name}"
            sink("category-twice", f"categories[{number}]: {twice}")
            continue
        names.add(name)
        usable[source_id] = fields
    if not usable:
        sink("no-category", "expected at least one category that can be used, found none")
    return tuple(_category(number, usable[source_id]) for number, source_id in enumerate(sorted(usable), start=1))


def _fields(entry: Any, id_key: str, number: int) -> dict[str, Any]:
    """A category but for our id, from an entry of a JSON file that holds the dataset's own id under `id_key`."""
    try:
        require_keys(entry, frozenset(("id", "name", "isthing", id_key)))
        return {
            "name": text(entry, "name"),
            "isthing": flag(entry, "isthing"),
            "color": color_of(entry.get("color")),
            "source_id": integer(entry, id_key, 0, MAX_INT32),
        }
    except InputError as error:
        instances = isinstance(entry, dict) and "isthing" not in entry
        hint = "; is this an instances JSON rather than a panoptic one?" if instances else ""
        raise InputError(f"categories[{number}]: {error}, in {reprlib.repr(entry)}{hint}") from None


def _category(number: int, fields: dict[str, Any]) -> Category:
    """The category; without a colour it gets one of ours, hues a golden angle apart, so that neighbours differ."""
    if fields["color"] is None:
        rgb = colorsys.hsv_to_rgb((0.61803398875 * number) % 1.0, 0.65, 0.85)
        fields = {**fields, "color": tuple(round(255 * channel) for channel in rgb)}
    return Category(id=number, **fields)


def color_of(color: Any) -> tuple[int, int, int] | None:
    """The colour that a JSON file's entry holds; None for null.

    Raises:
        InputError: not three integers 0..255.
    """
    if color is None:
        return None
    try:
        if not isinstance(color, list | tuple) or len(color) != 3:
            raise InputError("expected three")
        red, green, blue = (integer({"channel": value}, "channel", 0, 255) for value in color)
    except InputError:
        raise InputError(f"color must be three integers 0..255, found {reprlib.repr(color)}") from None
    return red, green, blue
