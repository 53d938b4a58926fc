"""The numbers of an evaluation as tables to read, in percent."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

GROUPS = ("all", "things", "stuff")
# More rows than a screen has are for the JSON and the report.
MOST_CATEGORIES = 40
CAUSE_NAMES = {
    "imprecise": "matches, but not exactly",
    "wrong_category": "wrong category",
    "stuff_thing": "stuff taken for a thing, or the reverse",
    "merged": "several merged into one",
    "split": "one split into several",
    "boundary": "poor boundary (IoU 0.3 to 0.5)",
    "missed": "missed",
    "spurious": "spurious",
}


def print_evaluation(summary: dict[str, Any]) -> None:
    """Prints what `summary.summarize` returned."""
    if "pq" in summary:
        print_summary(summary["pq"])
        _print_interval(summary)
    _print_others(summary)
    if "size" in summary:
        _print_sizes(summary["size"])
    if "causes" in summary:
        _print_causes(summary["causes"]["all"])
    _print_warnings(summary)
    if "by" in summary and "pq" in summary:
        _print_slices(summary["by"])


def _print_warnings(summary: dict[str, Any]) -> None:
    """What a person should know before believing the numbers."""
    for rule in summary["rules"]:
        print(f"not the official rules: {rule}")
    if "ignored" in summary:
        _print_ignored(summary["ignored"])
    if summary["images"] < summary["total"]:
        print(f"a part: {summary['images']} of {summary['total']} images")
    if summary["missing"]:
        print(f"{summary['missing']} of {summary['images']} images had no prediction: their segments count as missed")

    if summary["wrong_areas"]:
        print(
            f"{summary['wrong_areas']} segments of the truth have an area in the annotation that is not the number of "
            "their pixels; the official rules take the annotation's, --pixel-areas counts the pixels"
        )
    if "train_ids" in summary:
        found = summary["train_ids"]
        print(
            f"the predictions look like train ids, which agree with the truth in {found['as_train_ids']:.0%} of the "
            f"pixels of ids that mean something both ways, as label ids in {found['as_label_ids']:.0%}; expected label "
            "ids (7 for road, 26 for car)"
        )
    quality = summary.get("pq", {}).get("per_category", {}).values()
    if any(row["fn"] for row in quality) and not any(row["tp"] for row in quality):
        print(
            "no segment matches: is the model trained, and do category ids and file names mean the same on both sides?"
        )


def _print_ignored(ignored: dict[str, Any]) -> None:
    """What the rules pass over, in one line, if there is anything."""
    told = []
    if ignored["void"]:
        told.append(f"{_share(ignored['void'])} % of the truth is void")
    if ignored["crowds"]:
        told.append(
            "1 true segment is a crowd" if ignored["crowds"] == 1 else f"{ignored['crowds']} true segments are crowds"
        )
    if ignored["ignored"]:
        verbs = "lies mostly in {} and counts" if ignored["ignored"] == 1 else "lie mostly in {} and count"
        places = [place for place, given in (("void", ignored["void"]), ("a crowd", ignored["crowds"])) if given]
        hint = " (--void-background counts those in void as wrong)" if ignored["void"] else ""
        told.append(
            f"{ignored['ignored']} of {ignored['segments']} predicted segments {verbs.format(' or '.join(places))} "
            f"as nothing{hint}"
        )
    if told:
        print(f"passed over: {'; '.join(told)}")


def _share(fraction: float) -> str:
    return f"{100 * fraction:.1f}" if fraction >= 0.0005 else "less than 0.1"


def print_summary(summary: dict[str, Any]) -> None:
    """Prints what `panoptic_quality.summarize` returned, '-' where there is no segment."""
    table = _table("", "PQ", "SQ", "RQ", "categories", "TP", "FP", "FN")
    for group in GROUPS:
        row = summary[group]
        table.add_row(group, *_percent(row), str(row["n"]), "", "", "", style="bold")
    seen = {name: row for name, row in summary["per_category"].items() if row["pq"] is not None}
    shown = summary["per_category"] if len(summary["per_category"]) <= MOST_CATEGORIES else seen
    for name, row in shown.items():
        table.add_row(escape(name), *_percent(row), "", str(row["tp"]), str(row["fp"]), str(row["fn"]))
    Console(emoji=False).print(table)
    print("PQ, SQ and RQ in percent; '-' where there is no segment")


def _print_interval(summary: dict[str, Any]) -> None:
    images, interval = summary["images"], summary["pq_interval"]["all"]["pq"]
    if interval is not None:
        low, high = (f"{100 * end:.1f}" for end in interval)
        pq = _one(summary["pq"]["all"]["pq"])
        print(f"PQ {pq}, 95 % confidence interval {low} to {high} (bootstrap over {images} images)")


def _print_others(summary: dict[str, Any]) -> None:
    table = _table("also", "percent", "")
    for measure, key, name, more in (
        ("miou", "miou", "mIoU", ()),
        ("covering", "pc", "Parsing Covering", ()),
        ("ap", "ap", "mask AP", (("ap50", "AP50"), ("ap75", "AP75"))),
        ("cityscapes_ap", "ap", "Cityscapes AP", (("ap50", "AP50"),)),
    ):
        if measure in summary:
            numbers = summary[measure]
            table.add_row(name, _one(numbers[key]), ", ".join(f"{label} {_one(numbers[k])}" for k, label in more))
    if "boundary" in summary:
        boundary = summary["boundary"]
        parts = ", ".join(f"{group} {_one(boundary[group]['pq'])}" for group in GROUPS[1:])
        table.add_row("Boundary PQ", _one(boundary["all"]["pq"]), parts)
    if table.row_count:
        Console(emoji=False).print(table)


def _print_sizes(sizes: dict[str, Any]) -> None:
    table = _table("by size", "PQ", "things", "stuff", "pixels")
    for name, size in sizes.items():
        low, high = size["limits"]
        pixels = f"{low} and more" if high is None else f"{low} to {high - 1}"
        table.add_row(name, *(_one(size[group]["pq"]) for group in GROUPS), pixels)
    Console(emoji=False).print(table)


def _print_causes(causes: dict[str, Any]) -> None:
    if not causes["causes"]:
        return
    table = _table("lost points, by cause", "lost", "PQ if fixed", "FP", "FN")
    for cause, row in sorted(causes["causes"].items(), key=lambda item: -item[1]["lost"]):
        table.add_row(CAUSE_NAMES[cause], _one(row["lost"]), _one(row["if_fixed"]), str(row["fp"]), str(row["fn"]))
    table.add_row("all", _one(causes["lost"]), "", "", "", style="bold")
    Console(emoji=False).print(table)
    print("fixed: such segments match as well as the others of their category; wrong ones are gone")


def _print_slices(slices: dict[str, Any]) -> None:
    table = _table("slice", "PQ", "things", "stuff", "images")
    for value, numbers in slices.items():
        table.add_row(escape(value), *(_one(numbers["pq"][group]["pq"]) for group in GROUPS), str(numbers["images"]))
    Console(emoji=False).print(table)


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _percent(row: dict[str, Any]) -> list[str]:
    return [_one(row[key]) for key in ("pq", "sq", "rq")]


def _one(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
