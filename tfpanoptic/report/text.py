"""Texts, numbers and tables of the report's page: what comes from data is escaped here and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

NOTHING = "–"  # where there is no number
# Rows that a long table shows before it is asked for all.
SHORT_TABLE = 20


class Column(NamedTuple):
    """A column of a table: its key in links, its heading, what the heading means, and whether it holds numbers."""

    key: str
    heading: str
    meaning: str = ""
    numeric: bool = True


class Cell(NamedTuple):
    """A cell: its markup and what it is sorted by; cells without a value stay at the end."""

    markup: str
    value: float | str | None = None


def escaped(value: Any) -> str:
    """The value as text of HTML or of an attribute in quotes; half of a surrogate pair becomes '?'."""
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True)


def name(value: Any) -> str:
    """A name from data, kept apart from the direction of the text around it."""
    return f"<bdi>{escaped(value)}</bdi>"


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction in percent, without the sign."""
    return NOTHING if fraction is None else f"{round(100 * fraction, digits) + 0.0:.{digits}f}"


def fine_percent(fraction: float) -> str:
    """A fraction in percent with a digit behind the point, with two significant ones where it is below 1."""
    for digits in range(1, 6):
        if abs(100 * fraction) >= 10 ** (1 - digits):
            return percent(fraction, digits)
    return percent(fraction, 1) if fraction == 0 else percent(fraction, 5)


def interval(ends: Sequence[float] | None) -> str:
    """An interval of fractions in percent."""
    return NOTHING if ends is None else f"{percent(ends[0])}–{percent(ends[1])}"


def counted(number: int, singular: str, plural: str = "") -> str:
    """`1 image`, `2,000 images`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def in_words(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def percent_cell(fraction: float | None) -> Cell:
    """A cell with a fraction in percent."""
    return Cell(percent(fraction), fraction)


def count_cell(number: int) -> Cell:
    """A cell with a count."""
    return Cell(f"{number:,}", number)


def name_cell(value: Any, after: str = "") -> Cell:
    """A cell with a name from data, and markup behind it."""
    return Cell(name(value) + after, str(value).casefold())


def table(key: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], falling: str = "") -> str:
    """A table whose headings sort it where scripts run; a long one is cut short there until asked for the rest.

    Args:
        key: its id, one of its kind on the page.
        columns: of it.
        rows: a cell for each column.
        falling: key of the column by which the rows stand in falling order, if they do.
    """
    short = len(rows) > SHORT_TABLE
    head = "".join(_heading(column, column.key == falling) for column in columns)
    body = "\n".join("<tr>" + "".join(map(_cell, columns, row)) + "</tr>" for row in rows)
    more = f'<button type="button" class="more scripted" data-table="{key}">Show all {len(rows):,} rows</button>'
    return (
        f'<div class="scroll"><table id="{key}"{" class=short" if short else ""}>'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>{more if short else ''}\n"
    )


def _heading(column: Column, falling: bool) -> str:
    kind = "number" if column.numeric else "words"
    meaning = f' title="{escaped(column.meaning)}"' if column.meaning else ""
    button = f'<button type="button"{meaning}>{escaped(column.heading)}</button>'
    order = ' aria-sort="descending"' if falling else ""
    return f'<th scope="col" class="{kind}" data-key="{column.key}"{order}>{button}</th>'


def _cell(column: Column, cell: Cell) -> str:
    kind = ' class="number"' if column.numeric else ""
    value = "" if cell.value is None else f' data-v="{_sort_value(cell.value)}"'
    return f"<td{kind}{value}>{cell.markup}</td>"


def _sort_value(value: float | str) -> str:
    return escaped(value) if isinstance(value, str) else f"{value:.9g}"
