"""The report of a comparison: a table to print, and JSON and Markdown beside the export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfpanoptic.atomic import replace_file
from tfpanoptic.export.quantities import counted, megabytes, milliseconds, percent
from tfpanoptic.export.verification import Verification


def print_verification(v: Verification) -> None:
    """Prints the table and what it means."""
    table = Table("", "model", "export", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in table_rows(v):
        table.add_row(*map(escape, row))
    Console(emoji=False).print(table)
    for note in notes(v):
        print(note)


def table_rows(v: Verification) -> list[tuple[str, ...]]:
    """What, of the model, of the export: the lines of a table."""
    rows: list[tuple[str, ...]] = []
    if v.model_pq is not None and v.pq is not None:
        for group, name in (("all", "PQ"), ("things", "PQ of things"), ("stuff", "PQ of stuff")):
            rows.append((name, percent(v.model_pq[group]["pq"]), percent(v.pq[group]["pq"])))
        rows.append(("PQ lost, points", "", percent(v.drop, 2)))
    agreement = v.agreement["all"]
    rows += [
        ("agreement: PQ against the model", "", percent(agreement["pq"], 2)),
        ("agreement: SQ, RQ", "", f"{percent(agreement['sq'], 2)}, {percent(agreement['rq'], 2)}"),
    ]
    if v.alike < v.images:
        rows.append((f"PQ against the model, {v.alike} alike", "", percent(v.agreement_alike["all"]["pq"], 2)))
    latencies = (v.model_latency, v.latency)
    return [
        *rows,
        ("mean difference of scores", "", f"{v.score_difference:.1e}"),
        ("latency, median", *(milliseconds(latency.median) for latency in latencies)),
        ("latency, p95", *(milliseconds(latency.p95) for latency in latencies)),
        ("first call", *(milliseconds(latency.first) for latency in latencies)),
        ("time to open", "", milliseconds(v.open_seconds)),
        ("size", megabytes(v.model_bytes), megabytes(v.bytes)),
        ("memory when open", "", megabytes(v.memory_opened)),
        ("memory at most", "", megabytes(v.memory_peak)),
    ]


def notes(v: Verification) -> list[str]:
    """What the table means, and what a person should know before believing it, a line each."""
    settings = ", ".join(f"{name} {_written(value)}" for name, value in v.options.items())
    runtime = ", ".join(f"{name} {version}" for name, version in v.runtime.items())
    lines = [
        f"{v.format}{f' ({settings})' if settings else ''} on {counted(v.images, 'image')}, "
        f"{'with' if v.pq is not None else 'without'} truth, {v.date}",
        f"{v.machine['cpu']}, {counted(v.machine['cores'], 'core')}, {counted(v.threads, 'thread')}; {runtime}",
        "latency of one image after another, from pixels to result, without decoding, after "
        "a warm-up; memory of the process that ran the export alone",
    ]
    if v.machine["model_device"] != "CPU":
        lines.append(f"the model ran on a {v.machine['model_device']}, the export on the processor")
    if v.size is not None:
        lines.append(
            f"the export's size is {v.size[0]} x {v.size[1]}; {v.shrunk} of {counted(v.images, 'image')} "
            f"were shrunk and {v.padded} got more padding than in the model, which sees those otherwise"
        )
    if v.agreement["all"]["pq"] is None:
        lines.append("neither the model nor the export finds a segment in any image, so nothing is compared")
    return [*lines, *_judgement(v)]


def _judgement(v: Verification) -> list[str]:
    limits, asked = v.limits, []
    if limits.agreement is not None and v.alike:
        asked.append(f"agreement of {100 * limits.agreement:g} at least")
    if limits.score_difference is not None and v.alike:
        asked.append(f"scores within {limits.score_difference:.0e} on average")
    if limits.drop is not None:
        asked.append(f"{100 * limits.drop:g} points of PQ lost at most")
    if not asked:
        return ["nothing was asked of it: without truth its loss of PQ is not known"]
    return [f"asked: {', '.join(asked)}", *(f"FAILED: {failure}" for failure in v.failures())]


def report_paths(artefact: str | Path) -> tuple[Path, Path]:
    """Where the report of an export goes: JSON and Markdown, beside it, as servers look for versions in a folder."""
    path = Path(artefact)
    return path.with_name(f"{path.name}.verify.json"), path.with_name(f"{path.name}.verify.md")


def remove_report(artefact: str | Path) -> None:
    """Removes the report of an export that is no more."""
    for path in report_paths(artefact):
        path.unlink(missing_ok=True)


def write_report(v: Verification) -> None:
    """Writes the report beside the export.

    Raises:
        InputError: the folder cannot be written to.
    """
    json_path, markdown_path = report_paths(v.artefact)
    replace_file(json_path, json.dumps(v.to_dict(), indent=2) + "\n")
    lines = ["| | model | export |", "|---|---:|---:|", *(f"| {' | '.join(row)} |" for row in table_rows(v))]
    title = f"# {Path(v.artefact).name} against its model"
    told = [f"- {note}" for note in notes(v)]
    replace_file(markdown_path, "\n".join([title, "", *lines, "", *told, ""]))


def _written(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
