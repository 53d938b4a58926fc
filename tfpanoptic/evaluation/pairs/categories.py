"""The categories of a truth that is only evaluated: what no number depends on is no reason to stop.

Source: the COCO panoptic API (`evaluation.py`) reads `id` and `isthing` alone; names and colours are for people.
"""

from __future__ import annotations

import reprlib
from typing import Any

from tfpanoptic.categories import CategoryTable, color_of
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.pairs.distinct_names import distinct_names
from tfpanoptic.json_entry import text


def evaluated_categories(entries: list[Any], origin: str) -> tuple[CategoryTable, list[str]]:
    """The table of the `categories` list of a COCO panoptic JSON, and a note about the names that it changed.

    A colour that is none is replaced, and so is a name that is no text of one line; categories of one name get their
    ids beside it, which tells them apart.

    Args:
        entries: the list.
        origin: the file's name, for messages.

    Raises:
        InputError: an entry has no id or `isthing` that can be used, or repeats an id.
    """
    usable = [_with_text_and_color(entry) if isinstance(entry, dict) else entry for entry in entries]
    named = [entry for entry in usable if isinstance(entry, dict)]
    names = distinct_names([entry["name"] for entry in named], [f"({_id_text(entry)})" for entry in named])
    for entry, name in zip(named, names, strict=True):
        entry["name"] = name
    table = CategoryTable.from_coco(usable, origin)
    changed = [
        f"{reprlib.repr(before.get('name'))} of id {after['id']} is {after['name']!r}"
        for before, after in zip(entries, usable)
        if before.get("name") != after["name"]
    ]
    if not changed:
        return table, []
    more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
    return table, [f"{origin}: categories get names of their own: {changed[0]}{more}"]


def _with_text_and_color(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with a name and a colour that a table can hold."""
    name, color = entry.get("name"), entry.get("color")
    try:
        text({"name": name}, "name")
    except InputError:
        name = f"category {_id_text(entry)}"
    try:
        color_of(color)
    except InputError:
        color = None
    return {**entry, "name": name, "color": color}


def _id_text(entry: dict[str, Any]) -> str:
    source_id = entry.get("id")
    if isinstance(source_id, bool) or (isinstance(source_id, float) and source_id.is_integer()):
        source_id = int(source_id)
    return reprlib.repr(source_id)
