"""A summary of panoptic quality as a table to read."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_summary(summary: dict[str, Any]) -> None:
    """Prints what `summarize` returned, in percent, '-' where there is no segment."""
    table = Table("", "PQ", "SQ", "RQ", "categories", "TP", "FP", "FN", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for group in ("all", "things", "stuff"):
        row = summary[group]
        table.add_row(group, *_percent(row), str(row["n"]), "", "", "", style="bold")
    for name, row in summary["per_category"].items():
        table.add_row(escape(name), *_percent(row), "", str(row["tp"]), str(row["fp"]), str(row["fn"]))
    Console().print(table)
    print("PQ, SQ and RQ in percent; '-' where there is no segment")


def _percent(row: dict[str, Any]) -> list[str]:
    return ["-" if row[key] is None else f"{100 * row[key]:.1f}" for key in ("pq", "sq", "rq")]
