"""A dataset in other categories than its files have: merged, renamed, dropped, things as stuff and stuff as things.

The files stay as they are. The tables of segments change, and `ImageRecord.id_map` says what becomes of the ids.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.coco_panoptic import join_categories, match_categories
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.errors import SettingError
from tfpanoptic.segment_map import rows_of, segment_rows
from tfpanoptic.settings.label_space import RemapCategory, RemapConfig

SETTING = "data.remap"
# Of what was void, where no colour is given. Own choice: dark, so that what was labelled stands out.
VOID_COLOR = (64, 64, 64)


@dataclass(frozen=True)
class LabelSpace:
    """What becomes of the categories of a table.

    Attributes:
        categories: the new table.
        becomes: int32 `[C + 1]`, the new id of each old one; 0 where it is dropped, and of void.
        joined: bool `[new C + 1]`, whether all segments of a category in an image are one: stuff that was merged, that
            was a thing or that takes in void.
        void: the new id of what is void otherwise; 0 where it stays void.
    """

    categories: CategoryTable
    becomes: np.ndarray
    joined: np.ndarray
    void: int = 0


def label_space(table: CategoryTable, remap: RemapConfig) -> LabelSpace:
    """What a remap makes of a table: categories in the order of their first old one, and what was void at the end.

    Source ids stay; a merge has the lowest of its parts, what was void the next free one.

    Raises:
        SettingError: a name that the table lacks or that would be there twice, a merge of things and stuff that does
            not say what it is, void as a thing, or nothing is left.
    """
    _require_known(table, remap)
    sources = remap.sources
    groups: dict[str, list[Category]] = {}
    for category in table:
        name = sources.get(category.name, category.name if remap.others == "keep" else None)
        if name is not None:
            groups.setdefault(name, []).append(category)
    made = [_made(number, name, of, remap) for number, (name, of) in enumerate(groups.items(), start=1)]
    void = next((c.id for c in made if c.name == remap.void), 0)
    if remap.void is not None and not void:
        color = remap.categories.get(remap.void, RemapCategory()).color or VOID_COLOR
        void = len(made) + 1
        made.append(Category(void, remap.void, False, color, 1 + max(c.source_id for c in table)))
    if not made:
        raise SettingError(SETTING, f"drops every category ({_listed(c.name for c in table)}); expected one that stays")
    if void and made[void - 1].isthing:
        raise SettingError(f"{SETTING}.void", f"{remap.void} is a thing; unlabelled pixels can be stuff alone")
    becomes, joined = np.zeros(len(table) + 1, np.int32), np.zeros(len(made) + 1, bool)
    for category, of in zip(made, groups.values(), strict=False):
        becomes[[old.id for old in of]] = category.id
        joined[category.id] = not category.isthing and (len(of) > 1 or of[0].isthing)
    joined[void] = void > 0
    return LabelSpace(CategoryTable(tuple(made)), becomes, joined, void)


def _require_known(table: CategoryTable, remap: RemapConfig) -> None:
    """Checks the names of a remap against the table."""
    known, sources = table.by_name(), remap.sources
    for old, new in sources.items():
        if old not in known and not (old == remap.void and remap.categories[old].of is None):
            near = difflib.get_close_matches(old, known, n=3, cutoff=0.5)
            hint = f"near it: {', '.join(near)}" if near else f"they have {_listed(known)}"
            place = f"{SETTING}.drop" if new is None else f"{SETTING}.categories.{new}"
            raise SettingError(place, f"the data have no category {old}; {hint}")
    for name in remap.categories:
        if name in known and name not in sources and remap.others == "keep":
            raise SettingError(
                f"{SETTING}.categories.{name}",
                f"the data have a category {name} as well; name it in `of`, in `drop` or under another name",
            )


def _made(number: int, name: str, of: list[Category], remap: RemapConfig) -> Category:
    """The category that some of the table become."""
    settings = remap.categories.get(name, RemapCategory())
    kinds = {category.isthing for category in of}
    if settings.thing is None and len(kinds) > 1:
        things, stuff = ([c.name for c in of if c.isthing == kind] for kind in (True, False))
        raise SettingError(
            f"{SETTING}.categories.{name}",
            f"merges things ({_listed(things)}) and stuff ({_listed(stuff)}); say which it is: thing: true or false",
        )
    isthing = kinds.pop() if settings.thing is None else settings.thing
    lowest = min(of, key=lambda category: category.source_id)
    return Category(number, name, isthing, settings.color or lowest.color, lowest.source_id)


def _listed(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def remapped(dataset: Dataset, remap: RemapConfig) -> Dataset:
    """A dataset in the categories of a remap of its table.

    Categories that its files have beyond the table follow the others as they are, or are dropped as others are.

    Raises:
        SettingError: as `label_space`.
        InputError: as `join_categories`.
    """
    old = dataset.categories
    beyond = old.categories[len(old) - len(dataset.truth_only) :]
    space = label_space(CategoryTable(old.categories[: len(old) - len(beyond)]), remap)
    kept = beyond if remap.others == "keep" else ()
    table = join_categories(space.categories, kept, f"{SETTING}.others")
    by_name = table.by_name()
    further = [by_name[category.name].id if category in kept else 0 for category in beyond]
    whole = replace(
        space,
        categories=table,
        becomes=np.append(space.becomes, np.array(further, np.int32)),
        joined=np.append(space.joined, np.zeros(len(table) - len(space.categories), bool)),
    )
    unlabelled = [c.id for c in old if c.name in dataset.table_only]
    labelled = {space.void, *whole.becomes[[i for i in old.ids if i not in unlabelled]].tolist()}
    return replace(
        in_label_space(dataset, whole),
        truth_only=tuple(c.name for c in table.categories[len(space.categories) :]),
        table_only=tuple(c.name for c in space.categories if c.id not in labelled),
    )


def remapped_elsewhere(dataset: Dataset, remap: RemapConfig) -> Dataset | None:
    """Data of other files in the categories of a remap; None where they are in these already.

    They are if they have a category that only the remap makes, and none that it takes away. Otherwise names of the
    remap that they lack do not matter, and categories that it makes stay.

    Raises:
        SettingError: as `label_space`, but for such names.
    """
    names, sources = dataset.categories.by_name(), remap.sources
    made = {*remap.categories, *([remap.void] if remap.void else [])}
    if any(name in made and name not in sources for name in names) and not any(
        name in sources and name not in made for name in names
    ):
        return None
    present: dict[str, RemapCategory] = {}
    for name, category in remap.categories.items():
        of = tuple(old for old in category.of or (name,) if old in names)
        of += (name,) if name in names and name not in sources else ()
        present |= {name: category.model_copy(update={"of": of})} if of else {}
    drop = tuple(name for name in remap.drop if name in names)
    fitting = remap.model_copy(update={"categories": present, "drop": drop})
    return remapped(replace(dataset, truth_only=(), table_only=()), fitting)


def matched(dataset: Dataset, categories: CategoryTable, origin: str) -> Dataset:
    """A dataset in a model's categories, by name; further ones of its own follow, as in `read_coco_panoptic`.

    Raises:
        InputError: a category is a thing in one table and stuff in the other.
    """
    table, ids, truth_only, table_only = match_categories(dataset.categories, categories, origin)
    becomes = np.array([0, *(ids[category.source_id] for category in dataset.categories)], np.int32)
    space = LabelSpace(table, becomes, np.zeros(len(table) + 1, bool))
    return replace(in_label_space(dataset, space), truth_only=truth_only, table_only=table_only)


def in_label_space(dataset: Dataset, space: LabelSpace) -> Dataset:
    """A dataset with the segments of every image in another label space; no file is read."""
    return replace(
        dataset,
        categories=space.categories,
        records=tuple(_record_in_space(record, space) for record in dataset.records),
    )


def _record_in_space(record: ImageRecord, space: LabelSpace) -> ImageRecord:
    rows = record.segments
    category = space.becomes[rows["category"]]
    becomes = np.where(category > 0, rows["id"], 0)  # id of each segment's new one
    for joined in np.unique(category[space.joined[category]]).tolist():
        becomes[category == joined] = rows["id"][category == joined].min()
    void = _void_id(rows["id"], becomes[category == space.void]) if space.void else 0
    becomes[becomes == 0] = void
    segments = rows[becomes == rows["id"]]
    segments["category"] = category[becomes == rows["id"]]
    segments["iscrowd"] &= ~space.joined[segments["category"]]  # a crowd that became stuff is stuff
    row = rows_of(segments["id"], becomes)
    segments["area"] = np.bincount(row[row >= 0], rows["area"][row >= 0], len(segments))
    if void:
        others = segments[segments["id"] != void]
        # What no other segment has; of a map that is read, its pixels are counted.
        area = max(record.height * record.width - float(others["area"].sum()), 0.0)
        segments = np.append(others, segment_rows([void], [space.void], areas=[area]))
    return replace(record, segments=segments, id_map=_id_map(record, becomes, void))


def _void_id(used: np.ndarray, own: np.ndarray) -> int:
    """The id of a segment of what was void: that of its category in the image, else the first that is free."""
    if len(own):
        return int(own[0])
    taken = set(used.tolist())
    return next(number for number in count(1) if number not in taken)


def _id_map(record: ImageRecord, becomes: np.ndarray, void: int) -> np.ndarray | None:
    """The `id_map` of a record whose segments become others."""
    ids = record.segments["id"]
    if record.id_map is None and not void and np.array_equal(becomes, ids):
        return None
    in_file, old = (ids, ids) if record.id_map is None else record.id_map.T
    new = np.append(becomes, void)[rows_of(ids, old)]  # row -1: void
    if void and not (in_file == 0).any():
        in_file, new = np.append(in_file, 0), np.append(new, void)
    return np.stack([in_file, new], axis=1).astype(np.int32)
