"""The measurements of `tfpanoptic bench` as a table to read."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from tfpanoptic.export.quantities import counted

# Heading -> text of a measurement; those of a call are "-" where it failed.
_WHAT = {
    "format": lambda row: " ".join(
        [row["format"], *([row["quantize"]] if row["quantize"] != "none" else []), *(["fixed"] if row["fixed"] else [])]
    ),
    "photo": lambda row: "as it is" if row["height"] is None else f"{row['height']}x{row['width']}",
    "batch": lambda row: str(row["batch"]),
    "threads": lambda row: str(row["threads"]),
}
_MEASURED = {
    "median ms": lambda row: f"{1000 * row['median']:.1f}",
    "p95 ms": lambda row: f"{1000 * row['p95']:.1f}",
    "images/s": lambda row: f"{row['images_per_second']:.1f}",
    "first ms": lambda row: f"{1000 * row['first']:.0f}",
    "memory MB": lambda row: "-" if row["memory_peak"] is None else f"{row['memory_peak'] / 1e6:.0f}",
}


def print_bench(result: dict[str, Any]) -> None:
    """Prints what `bench.bench` returned; what all measurements have in common stands below the table."""
    rows = result["rows"]
    common = [name for name, text in _WHAT.items() if name != "format" and len({text(row) for row in rows}) == 1]
    table = Table(*(name for name in _WHAT if name not in common), *_MEASURED, "size MB", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        what = [text(row) for name, text in _WHAT.items() if name not in common]
        measured = ["-" if "failed" in row else text(row) for text in _MEASURED.values()]
        table.add_row(*what, *measured, f"{row['size'] / 1e6:.1f}")
    console = Console(emoji=False)
    console.width = max(console.width, console.measure(table, options=console.options.update(width=200)).maximum)
    console.print(table)
    for line in notes(result, [f"{name} {_WHAT[name](rows[0])}" for name in common]):
        print(line)


def notes(result: dict[str, Any], common: list[str]) -> list[str]:
    """What the table means, a line each."""
    machine, timed = result["machine"], [row for row in result["rows"] if "failed" not in row]
    runtimes = sorted({f"{name} {version}" for row in timed for name, version in row["runtime"].items()})
    lines = [
        ", ".join([f"{machine['cpu']}, {counted(machine['cores'], 'core')}", *common, *runtimes, result["date"]]),
        f"{counted(result['calls'], 'call')} each, from pixels to results, without decoding, after a warm-up of "
        f"{result['warm_up']}, whose first call is told",
        "memory: the most that a process had which did nothing else",
    ]
    for device in sorted({row["device"] for row in timed} - {"CPU"}):
        names = sorted({row["format"] for row in timed if row["device"] == device})
        lines.append(f"on a {device}, whose memory is not in the table: {', '.join(names)}")
    return [*lines, *result["left_out"], *(row["failed"] for row in result["rows"] if "failed" in row)]
