"""A comparison of two evaluations as tables to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfpanoptic.evaluation.table import CAUSE_NAMES

LOST = ("lost in A", "lost in B", "B gains")


def print_comparison(comparison: dict[str, Any], a: Path, b: Path) -> None:
    """Prints what `compare` of the evaluation returned, in points: hundredths of PQ, SQ and RQ."""
    print(comparison["verdict"])
    print(f"\nA  {a}\nB  {b}\n{_images(comparison['images'])}")
    for note in comparison["notes"]:
        print(note)
    level = f"{100 * comparison['level']:.0f} %"
    heads = ("A", "B", "B - A", f"{level} interval", "p")
    groups = [
        ((f"{group} {name.upper()}", *_difference(comparison[group][name])), name == "pq")
        for group in ("all", "things", "stuff")
        for name in ("pq", "sq", "rq")
    ]
    _print_table(("", *heads), [row for row, _ in groups], bold=[first for _, first in groups])
    print(
        f"In points, hundredths. Interval: B - A of {level} of {comparison['resamples']} draws of as many images, the "
        "same for A and B.\nIt tells what other images would change, not what another training would."
    )
    if comparison["categories_moved"]:
        rows = [(c["name"], str(c["images"]), *_difference(c)) for c in comparison["categories_moved"]]
        _print_table(("categories that moved most, PQ", "images", *heads), rows)
        known = sum(entry["pq"]["p"] is not None for entry in comparison["per_category"].values())
        print(f"With {known} categories, p is below 0.05 for about {0.05 * known:.1f} of them if none differs.")
    for side, names in comparison["only_wrong_in"].items():
        if names:
            print(f"Only in {side.upper()}, as nothing but wrong segments: {', '.join(names)}")
    if comparison["images_moved"]:
        _print_table(("images that moved most", *LOST), _gains(comparison["images_moved"]))
    if comparison["causes_moved"]:
        _print_table(("causes of lost PQ", *LOST), _gains(_named(comparison["causes_moved"])))
    if comparison["images_moved"]:
        print("Points of PQ that an image or cause costs; the gains of all images, and of all causes, add up to B - A.")


def _images(images: dict[str, int]) -> str:
    parts = [f"{images['both']} images in both"]
    for side in ("a", "b"):
        if images[f"only_{side}"]:
            parts.append(f"{images[f'only_{side}']} only in {side.upper()}, left out")
        if images[f"missing_{side}"]:
            parts.append(f"{images[f'missing_{side}']} without a prediction in {side.upper()}, counted as missed")
    return "; ".join(parts)


def _difference(entry: dict[str, Any]) -> tuple[str, ...]:
    values = ["-" if entry[side] is None else f"{100 * entry[side]:.2f}" for side in ("a", "b")]
    difference = "-" if entry["difference"] is None else f"{100 * entry['difference']:+.2f}"
    if entry["interval"] is None:
        return (*values, difference, "-", "-")
    low, high = entry["interval"]
    return (*values, difference, f"{100 * low:+.2f} to {100 * high:+.2f}", f"{entry['p']:.2g}")


def _named(causes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The causes that lost anything, under the names that `evaluate` prints."""
    return [{**cause, "name": CAUSE_NAMES[cause["name"]]} for cause in causes if cause["lost_a"] or cause["lost_b"]]


def _gains(entries: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows in thousandths of a point: one image of many costs little."""
    return [
        (e["name"], f"{100 * e['lost_a']:.3f}", f"{100 * e['lost_b']:.3f}", f"{100 * e['gained']:+.3f}")
        for e in entries
    ]


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], bold: Sequence[bool] = ()) -> None:
    """Prints an empty line, then names on the left and numbers on the right."""
    table = Table(*heads, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for number, (name, *values) in enumerate(rows):
        table.add_row(escape(name), *values, style="bold" if bold and bold[number] else None)
    print()
    Console().print(table)
