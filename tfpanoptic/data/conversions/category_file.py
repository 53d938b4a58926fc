"""Categories that a person gives beside maps: a JSON list as COCO's, or a short YAML."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import read_category_list
from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import read_yaml


def read_category_file(path: Path) -> list[dict[str, Any]]:
    """Entries as those of COCO's list `categories`, unchecked; `isthing` stands where the file says it.

    Args:
        path: a JSON with a list of `{"id", "name", "isthing"}`, alone or under `categories`; or YAML
            `id: name`, or `id: {name: .., thing: true, color: [r, g, b]}`.

    Raises:
        InputError: no such file, or another content.
    """
    if path.suffix.lower() not in (".yaml", ".yml"):
        return read_category_list(path, "a JSON with a list of categories, or a .yaml")
    return [_entry_of_yaml(path, key, value) for key, value in read_yaml(path).items()]


def _entry_of_yaml(path: Path, key: Any, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"id": key, "name": value}
    if not isinstance(value, dict) or not value.keys() <= {"name", "thing", "isthing", "color"}:
        expected = "a name, or name, thing (true or false) and color"
        raise InputError(f"{path}: {reprlib.repr(key)}: expected {expected}, found {reprlib.repr(value)}")
    entry = {"id": key, **value}
    if "thing" in entry:
        entry["isthing"] = entry.pop("thing")
    return entry


def with_isthing(
    entries: Sequence[Any], stuff: Sequence[str], origin: str, default: int | None = None
) -> list[dict[str, Any]]:
    """The entries with `isthing`: 0 for those that `stuff` names, else what they say.

    Args:
        entries: of a list `categories`.
        stuff: names, of `--stuff`.
        origin: the file's name, for messages.
        default: of those that say nothing; None to leave them so, or, where `stuff` names some, to take the others for
            things.

    Raises:
        InputError: a name of `stuff` is none of a category.
    """
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    strange = [name for name in stuff if name not in names]
    if strange:
        raise InputError(f"--stuff {strange[0]}: no such category in {origin}; expected one of {reprlib.repr(names)}")

    default = 1 if stuff and default is None else default

    def kind(entry: dict[str, Any]) -> dict[str, Any]:
        if entry.get("name") in stuff:
            return {**entry, "isthing": 0}
        return {**entry, "isthing": default} if "isthing" not in entry and default is not None else entry

    return [kind(entry) if isinstance(entry, dict) else entry for entry in entries]


def table_of(entries: list[Any], rest: str | None, origin: str) -> tuple[CategoryTable, list[dict[str, Any]]]:
    """The table of entries and of `rest`, and the entries to write: those given, with colours.

    Args:
        entries: of a list `categories`.
        rest: name of a stuff category for the pixels that are nothing else; one of the entries, or a new one under
            the next free id.
        origin: the file's name, for messages.

    Raises:
        InputError: an entry is wrong, ids or names repeat, `rest` is a thing, or there is no category.
    """
    for entry in entries:
        if isinstance(entry, dict) and "isthing" not in entry:
            told = f"category {entry.get('name')!r} does not say whether it is a thing"
            raise InputError(f"{origin}: {told}; expected thing: true or false (isthing in a JSON), or --stuff NAMES")
    table = CategoryTable.from_coco(entries, origin)
    if rest is not None and rest not in table.by_name():
        new = {"id": max(c.source_id for c in table) + 1, "name": rest, "isthing": 0}
        entries = [*entries, new]
        table = CategoryTable.from_coco(entries, origin)
    elif rest is not None and table.by_name()[rest].isthing:
        raise InputError(f"--rest {rest}: a thing in {origin}; expected a new name or stuff")
    given = {int(entry["id"]): entry for entry in entries}
    return table, [{**ours, **given[ours["id"]], **_checked(ours)} for ours in table.to_coco()]


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("id", "name", "isthing", "color")}
