"""The report's head: what was measured, PQ with its interval, and the other measures in a number each."""

from __future__ import annotations

from typing import Any

from tfpanoptic.categories import CategoryTable
from tfpanoptic.report.plots import quality_bar
from tfpanoptic.report.tables import lost_by_cause
from tfpanoptic.report.text import counted, escaped, interval, percent


def headline(summary: dict[str, Any], categories: CategoryTable, title: str) -> str:
    """The head of a page.

    Args:
        summary: of `summary.summarize`.
        categories: of the evaluation.
        title: what was evaluated.
    """
    tiles = "".join(
        f'<div class="tile"><dt>{escaped(label)}</dt><dd>{number}<small>{escaped(note)}</small></dd></div>'
        for label, number, note in _tiles(summary)
    )
    pq, ends = summary["pq"]["all"]["pq"], summary["pq_interval"]["all"]["pq"]
    lost = lost_by_cause(summary["causes"]["all"]) if "causes" in summary else []
    return (
        f'<header><p class="kind">Panoptic evaluation</p><h1>{escaped(title)}</h1>\n'
        f'<p class="told">{escaped(_what(summary, categories))} All numbers in percent, unless they are counts.</p>\n'
        f'<div class="headline"><p class="pq"><span>PQ</span> <b>{percent(pq)}</b></p>'
        f'<p class="certainty">{escaped(_certainty(summary["pq_interval"]))}</p>'
        f"{quality_bar(pq, lost, ends, tall='tall')}</div>\n"
        f'<dl class="tiles">{tiles}</dl></header>\n'
    )


def _what(summary: dict[str, Any], categories: CategoryTable) -> str:
    """How many images and categories."""
    things, stuff = len(categories.thing_ids), len(categories.stuff_ids)
    told = [
        counted(summary["images"], "image"),
        f"{counted(len(categories), 'category', 'categories')} ({counted(things, 'thing')}, {stuff} stuff)",
    ]
    if summary["missing"]:
        told.append(f"{counted(summary['missing'], 'image')} without a prediction, whose segments count as missed")
    told += [f"not the official rules: {rule}" for rule in summary["rules"]]
    return f"{'; '.join(told)}."


def _certainty(intervals: dict[str, Any]) -> str:
    """The interval of PQ in words."""
    ends = intervals["all"]["pq"]
    if ends is None:
        return "no interval: fewer than two images have segments"
    level, draws = percent(intervals["level"], 0), f"{intervals['resamples']:,} bootstrap draws of the images"
    return f"{level} % interval {interval(ends)}, by {draws}"


def _tiles(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(label, number, note) of every measure that there is."""
    pq, ends = summary["pq"], summary["pq_interval"]
    tiles = [
        (f"PQ {group}", percent(pq[group]["pq"]), interval(ends[group]["pq"]) if ends[group]["pq"] else "")
        for group in ("things", "stuff")
    ]
    tiles.append(("SQ", percent(pq["all"]["sq"]), "IoU of the matches"))
    tiles.append(("RQ", percent(pq["all"]["rq"]), "segments found"))
    if "boundary" in summary:
        tiles.append(("Boundary PQ", percent(summary["boundary"]["all"]["pq"]), "outlines count"))
    if "miou" in summary:
        accuracy = percent(summary["miou"]["pixel_accuracy"])
        tiles.append(("mIoU", percent(summary["miou"]["miou"]), f"pixel accuracy {accuracy}"))
    if "covering" in summary:
        tiles.append(("PC", percent(summary["covering"]["pc"]), "parsing covering"))
    for measure, label in (("ap", "Mask AP"), ("cityscapes_ap", "Cityscapes AP")):
        if measure in summary:
            tiles.append((label, percent(summary[measure]["ap"]), f"AP50 {percent(summary[measure]['ap50'])}"))
    return tiles
