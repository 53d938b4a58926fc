"""The report's list of causes: what each costs, what PQ would be without it, and what to try."""

from __future__ import annotations

from typing import Any

from tfpanoptic.report.causes import STYLES, swatch
from tfpanoptic.report.plots import cause_bar
from tfpanoptic.report.tables import lost_by_cause
from tfpanoptic.report.text import escaped, fine_percent, in_words, name, percent

# Categories that are named at each cause.
MOST_IN = 3


def lost_section(summary: dict[str, Any]) -> str:
    """Lost points by cause, the largest first; `summary` is of `summary.summarize`."""
    entry = summary["causes"]["all"]
    if entry["lost"] is None:
        return "<p>There is no segment.</p>"
    lost = lost_by_cause(entry)
    if not lost:
        return "<p>Nothing is lost: every segment matches exactly.</p>"
    items = "".join(
        f"<li><h3>{swatch(cause)}{escaped(STYLES[cause].label)}</h3>{cause_bar(cause, fraction, lost[0][1])}"
        f'<p class="cost"><b>{percent(fraction)}</b> points</p>'
        f'<p class="fixed">{_if_fixed(entry["causes"][cause]["if_fixed"], summary["pq"]["all"]["pq"])}</p>'
        f'<p class="why">{escaped(STYLES[cause].meaning)} <em>To try:</em> {escaped(STYLES[cause].advice)} '
        f'<span class="quiet">{_where(summary, cause)}</span></p></li>\n'
        for cause, fraction in lost
    )
    none = [style.label.lower() for cause, style in STYLES.items() if cause not in dict(lost)]
    rest = f'<p class="quiet">No point is lost to: {", ".join(none)}.</p>' if none else ""
    return (
        f"<p>PQ lacks {percent(entry['lost'])} points to 100. Every missed and every wrong segment has one cause, and "
        f'the points of all causes add up to what is lost.</p>\n<ol class="causes">{items}</ol>{rest}'
    )


def _if_fixed(fixed: float | None, pq: float) -> str:
    """What fixing a cause would change."""
    if fixed is None:
        return "if fixed, no segment is left"
    return f"if fixed, PQ <b>{percent(fixed)}</b> ({100 * (fixed - pq):+.1f})"


def _where(summary: dict[str, Any], cause: str) -> str:
    """How many segments a cause takes, and where."""
    told = summary["causes"]["all"]["causes"][cause]
    counts = [f"{told[key]:,} {what}" for key, what in (("fn", "missed"), ("fp", "wrong")) if told[key]]
    groups = [
        f"{group} lose {percent(summary['causes'][group]['causes'][cause]['lost'])}"
        for group in ("things", "stuff")
        if summary["causes"][group]["causes"]
    ]
    segments = f"{in_words(counts)} segments. " if counts else ""
    return f"{segments}{', '.join(groups).capitalize()}; most in {in_words(_most_in(summary, cause))}."


def _most_in(summary: dict[str, Any], cause: str) -> list[str]:
    """The categories that lose most of the PQ of all by a cause, with these points."""
    by_category = {
        category: entry["causes"][cause]["lost"] / summary["pq"]["all"]["n"]
        for category, entry in summary["causes"]["per_category"].items()
        if entry["causes"] and entry["causes"][cause]["lost"] > 0
    }
    order = sorted(by_category, key=lambda category: -by_category[category])[:MOST_IN]
    return [f"{name(category)} ({fine_percent(by_category[category])})" for category in order]
