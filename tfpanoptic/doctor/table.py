"""Findings, census and ceiling of `tfpanoptic doctor` as tables to read."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfpanoptic.doctor.ceiling import GROUPS, NOTICEABLE, is_noticeable, percent
from tfpanoptic.evaluation.table import MOST_CATEGORIES, print_summary

STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}
SHOWN_EXAMPLES = 3


def print_findings(findings: list[dict[str, Any]]) -> None:
    """Prints the findings of `check.check`: what, how often, where, what to do."""
    if not findings:
        print("nothing wrong was found")
        return
    splits = {finding["split"] for finding in findings} - {"data"}
    table = Table("", *(["split"] if splits else []), "count", "found", box=None)
    table.columns[-2].justify = "right"
    for finding in findings:
        examples = finding["examples"][:SHOWN_EXAMPLES]
        more = ", ..." if finding["count"] > len(examples) else ""
        lines = [
            f"{escape(finding['what'])} ({finding['code']})",
            f"[dim]{escape(', '.join(examples))}{more}[/dim]",
        ]
        if finding["level"] != "info":
            lines.append(f"to do: {escape(finding['advice'])}")
        level = f"[{STYLES[finding['level']]}]{finding['level']}[/]"
        split = [finding["split"]] if splits else []
        table.add_row(level, *split, str(finding["count"]), "\n".join(lines))
    Console().print(table, highlight=False)


def fit_line(report: dict[str, Any]) -> str:
    """The last line about data without an error: how much there is, and what remains to be looked at.

    Args:
        report: of `check.check`.
    """
    splits = {name: census for name, census in report["splits"].items() if census is not None}
    parts = " and ".join(f"{census['images']} {name}" for name, census in splits.items())
    images, read, segments = (sum(c[key] for c in splits.values()) for key in ("images", "images_read", "segments"))
    line = f"fit for training: {images} images{f' ({parts})' if len(splits) > 1 else ''}, {segments} segments"
    if read < images:
        line += f", as far as the files of {read} images tell"
    warnings = sum(finding["level"] == "warning" for finding in report["findings"])
    return f"{line}; see the {warnings} warning{'s' * (warnings != 1)} above" if warnings else line


def print_census(census: dict[str, Any], title: str = "") -> None:
    """Prints the census of a split, as `check.check` gives it, after a title."""
    void = "-" if census["void_share"] is None else f"{100 * census['void_share']:.1f} %"
    crowds = f", {census['crowds']} of them crowds" if census["crowds"] else ""
    print(
        f"{title}{census['images']} images, {census['segments']} segments{crowds}; void: {void} of the pixels", end=""
    )
    read = census["images_read"]
    print(f"; files read of {read} image{'s' * (read != 1)}" if read < census["images"] else "")
    table = _table("category", "", "images", "segments", "crowds", "% of pixels", "median area")
    rows = sorted(census["categories"], key=lambda row: -row["segments"])
    shown = rows if len(rows) <= MOST_CATEGORIES else [row for row in rows if row["segments"]][:MOST_CATEGORIES]
    for row in shown:
        area = "-" if row["median_area"] is None else f"{row['median_area']:.0f}"
        numbers = (str(row[key]) for key in ("images", "segments", "crowds"))
        share = f"{100 * row['pixel_share']:.1f}"
        table.add_row(escape(row["name"]), "thing" if row["isthing"] else "stuff", *numbers, share, area)
    Console().print(table)
    if len(rows) > len(shown):
        print(f"and {len(rows) - len(shown)} categories with fewer segments or none; --json has them all")


def print_ceiling(found: dict[str, Any]) -> None:
    """Prints what `ceiling.ceiling` returned."""
    print(f"ceiling: what perfect outputs of the network's heads would reach, on {found['images']} images")
    print_summary(found["pq"])
    sizes = _table("by size", "PQ", "things", "stuff", "pixels")
    for name, size in found["size"].items():
        low, high = size["limits"]
        pixels = f"{low} and more" if high is None else f"{low} to {high - 1}"
        sizes.add_row(name, *(percent(size[group]["pq"]) for group in GROUPS), pixels)
    Console().print(sizes)
    _print_costs(found["costs"])
    for line in found["verdict"]:
        print(line)


def _print_costs(costs: dict[str, Any]) -> None:
    costly = [setting for setting in costs["settings"] if is_noticeable(setting)]
    free = dict.fromkeys(s["setting"] for s in costs["settings"] if not is_noticeable(s))
    if costly:
        print(f"points of PQ that one setting costs, on {costs['images']} images:")
        table = Table("all", "things", "stuff", "", box=None)
        for column in table.columns[:3]:
            column.justify = "right"
        for setting in costly:
            told = escape(f"{setting['setting']}: {setting['found']} instead of {setting['relaxed']}")
            points = (percent(setting["cost"][group]) for group in GROUPS)
            table.add_row(*points, f"{told}\n[dim]{escape(setting['advice'])}[/dim]")
        Console().print(table, highlight=False)
    others = [name for name in free if name not in {setting["setting"] for setting in costly}]
    if others:
        print(f"below {percent(NOTICEABLE)}: {', '.join(others)}")


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
