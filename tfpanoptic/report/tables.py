"""The report's tables of PQ: by category, by size, and by the columns of the images' table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.bootstrap import pq_intervals
from tfpanoptic.evaluation.measures.attribution import CAUSES
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.measures.size_quality import SIZES
from tfpanoptic.evaluation.state import Evaluation
from tfpanoptic.report.causes import STYLES, swatch
from tfpanoptic.report.plots import quality_bar
from tfpanoptic.report.text import (
    NOTHING,
    Cell,
    Column,
    count_cell,
    escaped,
    fine_percent,
    interval,
    name_cell,
    percent_cell,
    table,
)

# How many values a column may have to be told value by value; own choice.
SLICE_VALUES = range(2, 21)

_QUALITIES = (
    Column("pq", "PQ", "Panoptic quality, percent"),
    Column("sq", "SQ", "Mean IoU of the matches, percent"),
    Column("rq", "RQ", "F1 of the segments, percent"),
)
_COUNTS = (
    Column("tp", "TP", "Matched segments"),
    Column("fp", "FP", "Predicted segments without a match"),
    Column("fn", "FN", "True segments without a match"),
)


def category_table(summary: dict[str, Any], categories: CategoryTable) -> str:
    """Every category with its qualities, its bar of lost points and their main cause."""
    present = max(1, summary["pq"]["all"]["n"])
    ious = summary["miou"]["per_category"] if "miou" in summary else {}
    boundary = summary["boundary"]["per_category"] if "boundary" in summary else {}
    columns = [
        Column("category", "Category", numeric=False),
        Column("kind", "Kind", "Thing or stuff", numeric=False),
        *_QUALITIES[:1],
        Column("bar", "PQ and what is lost", "Kept, then lost by cause, of 100", numeric=False),
        Column("lost", "Costs, points", "What the PQ of all loses by this category"),
        Column("cause", "Main cause", "Of its lost points", numeric=False),
        *_QUALITIES[1:],
        *_COUNTS,
        *([Column("iou", "IoU", "Of the category's pixels, percent")] if ious else []),
        *([Column("boundary", "Boundary PQ", "Percent")] if boundary else []),
    ]
    rows, entries = [], [summary["pq"]["per_category"][category.name] for category in categories]
    for category, entry in zip(categories, entries, strict=True):
        lost = lost_by_cause(summary["causes"]["per_category"][category.name]) if "causes" in summary else []
        cost = None if entry["pq"] is None else (1 - entry["pq"]) / present
        rows.append(
            [
                name_cell(category.name),
                Cell(*["thing" if category.isthing else "stuff"] * 2),
                percent_cell(entry["pq"]),
                Cell(quality_bar(entry["pq"], lost, tall="wide"), entry["pq"]),
                Cell(NOTHING if cost is None else fine_percent(cost), cost),
                _main_cause(lost),
                *(percent_cell(entry[key]) for key in ("sq", "rq")),
                *(count_cell(entry[key]) for key in ("tp", "fp", "fn")),
                *([percent_cell(ious[category.name])] if ious else []),
                *([percent_cell(boundary[category.name]["pq"])] if boundary else []),
            ]
        )
    costs = [(1 - entry["pq"] if entry["pq"] is not None else -1.0) for entry in entries]
    order = sorted(range(len(rows)), key=lambda row: -costs[row])
    return table("categories", columns, [rows[row] for row in order], falling="lost")


def lost_by_cause(entry: dict[str, Any]) -> list[tuple[str, float]]:
    """(cause, lost fraction) of an entry of `attribution.summarize_rows`, the largest first, without zeros."""
    lost = [(cause, told["lost"]) for cause, told in entry["causes"].items() if told["lost"] > 0]
    return sorted(lost, key=lambda pair: (-pair[1], CAUSES.index(pair[0])))


def _main_cause(lost: Sequence[tuple[str, float]]) -> Cell:
    if not lost:
        return Cell(NOTHING)
    cause = lost[0][0]
    label = STYLES[cause].label
    return Cell(f'<span class="cause">{swatch(cause)}{escaped(label)}</span>', label)


def size_section(summary: dict[str, Any]) -> str:
    """PQ of small, medium and large segments."""
    columns = [
        Column("size", "Size", numeric=False),
        Column("area", "Area, pixels", numeric=False),
        *_QUALITIES[:1],
        Column("bar", "", numeric=False),
        Column("things", "PQ things", "Percent"),
        Column("stuff", "PQ stuff", "Percent"),
        *_QUALITIES[1:],
        *_COUNTS,
        Column("n", "Categories", "With such segments"),
    ]
    rows = []
    for number, size in enumerate(SIZES):
        entry = summary["size"][size]
        least, below = entry["limits"]
        area = (
            f"below {below:,}"
            if least == 0
            else f"{least:,} and more"
            if below is None
            else f"{least:,} to {below - 1:,}"
        )
        counts = {key: sum(each[key] for each in entry["per_category"].values()) for key in ("tp", "fp", "fn")}
        whole = entry["all"]
        rows.append(
            [
                Cell(size, str(number)),
                Cell(area, str(number)),
                percent_cell(whole["pq"]),
                Cell(quality_bar(whole["pq"]), whole["pq"]),
                percent_cell(entry["things"]["pq"]),
                percent_cell(entry["stuff"]["pq"]),
                *(percent_cell(whole[key]) for key in ("sq", "rq")),
                *map(count_cell, counts.values()),
                count_cell(whole["n"]),
            ]
        )
    how = "Matches and missed segments count at the area of the true segment, wrong ones at their own."
    return f"<p>{how}</p>{table('sizes', columns, rows)}"


def slice_tables(evaluation: Evaluation) -> str:
    """PQ by the values of each column of the images' table that has 2 to 20 of them; nothing without such a column."""
    names = sorted({column for image in evaluation.images.values() for column in image.columns})
    slices = {column: evaluation.by(column) for column in names}
    return "".join(
        f"<h3>By {escaped(column)}</h3>{_slice_table(number, parts)}"
        for number, (column, parts) in enumerate(slices.items())
        if len(parts) in SLICE_VALUES
    )


def _slice_table(number: int, parts: dict[str, Evaluation]) -> str:
    columns = [
        Column("value", "Value", numeric=False),
        Column("images", "Images"),
        *_QUALITIES[:1],
        Column("interval", "95 % interval", "By the bootstrap over these images, percent", numeric=False),
        Column("bar", "", numeric=False),
        Column("things", "PQ things", "Percent"),
        Column("stuff", "PQ stuff", "Percent"),
        *_QUALITIES[1:],
        Column("n", "Categories", "With segments in these images"),
    ]
    rows = []
    for value, part in parts.items():
        entry = summarize_rows(part.rows("pq"), part.categories)
        ends = pq_intervals(part)["all"]["pq"]
        whole = entry["all"]
        rows.append(
            [
                name_cell(value),
                count_cell(len(part)),
                percent_cell(whole["pq"]),
                Cell(interval(ends), ends[0] if ends else None),
                Cell(quality_bar(whole["pq"], ends=ends), whole["pq"]),
                percent_cell(entry["things"]["pq"]),
                percent_cell(entry["stuff"]["pq"]),
                *(percent_cell(whole[key]) for key in ("sq", "rq")),
                count_cell(whole["n"]),
            ]
        )
    return table(f"slice-{number}", columns, rows)
