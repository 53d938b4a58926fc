"""Plots of the report's page as inline SVG; colours and letters are the style sheet's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfpanoptic.report.text import escaped, fine_percent, percent

# Size of a plot in its own units, and the room for its axes: left, right, top, bottom.
WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 22, 44
MOST_BINS = 24
# A curve of more images is drawn through so many.
MOST_POINTS = 240
# Shares below this are left empty in a heat map.
LEAST_SHARE = 0.0005
# Shares below this would be written as 0.
LEAST_WRITTEN = 0.005
LABEL_LETTERS = 18


def quality_bar(
    quality: float | None, lost: Sequence[tuple[str, float]] = (), ends: Sequence[float] | None = None, tall: str = ""
) -> str:
    """A bar from 0 to 100 % with a quality, then what is lost by cause, and an interval as a line.

    Args:
        quality: fraction; None gives an empty bar.
        lost: (cause, fraction) in the order of drawing.
        ends: low and high end of an interval.
        tall: a class for a bar of another height.
    """
    parts = [] if quality is None else [f'<rect class="kept" width="{_percent(quality)}"/>']
    start = quality or 0.0
    for cause, fraction in lost:
        if fraction > 0:
            parts.append(
                f'<rect class="lost" x="{_percent(start)}" width="{_percent(fraction)}" fill="url(#cause-{cause})"/>'
            )
            start += fraction
    if ends is not None:
        place = f'x1="{_percent(ends[0])}" x2="{_percent(ends[1])}" y1="50%" y2="50%"'
        parts.append(f'<line class="interval edge" {place}/><line class="interval" {place}/>')
    return f'<svg class="bar {tall}" aria-hidden="true"><rect class="rail" width="100%"/>{"".join(parts)}</svg>'


def cause_bar(cause: str, fraction: float, full: float) -> str:
    """A bar with one cause's share of `full`."""
    width = _percent(fraction / full if full else 0.0)
    return (
        f'<svg class="bar" aria-hidden="true"><rect class="rail" width="100%"/>'
        f'<rect width="{width}" fill="url(#cause-{cause})"/></svg>'
    )


def histogram(values: np.ndarray, label: str) -> str:
    """How many images have lost how much.

    Args:
        values: fractions `[N]`, told in percent.
        label: of the horizontal axis.
    """
    most = 100 * float(values.max(initial=0.0))
    step = nice_step(most / MOST_BINS) if most > 0 else 1.0
    bins = max(1, math.ceil(most / step - 1e-9))
    place = np.minimum((100 * values / step + 1e-9).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    tall = max(5, int(counts.max()))  # the axis counts whole images
    inner = WIDTH - LEFT - RIGHT
    bars = []
    for number, count in enumerate(counts.tolist()):
        if count:
            height = (HEIGHT - TOP - BOTTOM) * count / tall
            x, y = LEFT + inner * number / bins, HEIGHT - BOTTOM - height
            told = f"{count} images: {number * step:.6g} to {(number + 1) * step:.6g} points"
            bars.append(
                f'<rect class="column" x="{x + 0.5:.1f}" y="{y:.1f}" width="{inner / bins - 1:.1f}" '
                f'height="{height:.1f}"><title>{told}</title></rect>'
            )
    return _plot("".join(bars), (0.0, bins * step), (0, tall), label, "images")


def cumulative_curve(values: np.ndarray) -> str:
    """Share of the lost points that the worst images make up, from the worst one on."""
    ordered = np.sort(values)[::-1]
    total = ordered.sum()
    shares = np.concatenate([[0.0], np.cumsum(ordered) / (total if total > 0 else 1.0)])
    chosen = np.unique(np.linspace(0, len(shares) - 1, min(len(shares), MOST_POINTS)).round().astype(int))
    x = LEFT + (WIDTH - LEFT - RIGHT) * chosen / max(1, len(values))
    y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * shares[chosen]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    even = f"M{LEFT} {HEIGHT - BOTTOM}L{WIDTH - RIGHT} {TOP}"
    body = f'<path class="even" d="{even}"/><polyline class="curve" points="{points}"/>'
    return _plot(body, (0, 100), (0, 100), "images, the worst first, %", "lost points, %")


def heat_map(shares: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> str:
    """Which category's pixels were taken for which.

    Args:
        shares: float64 `[R, C]`, C >= R; the diagonal is what is right.
        rows: names of the true categories.
        columns: names of the predicted ones.
    """
    cell = 30 if len(columns) <= 14 else 17
    room = min(150, 8 * max(min(len(text), LABEL_LETTERS) for text in (*rows, *columns)) + 14)
    parts = []
    for r, row in enumerate(rows):
        y = room + cell * r
        parts.append(f'<text class="end" x="{room - 6}" y="{y + cell / 2 + 4}">{_short(row)}</text>')
        for c, column in enumerate(columns):
            share = float(shares[r, c])
            x = room + cell * c
            if share < LEAST_SHARE:
                continue
            kind = "right" if r == c else "wrong"
            told = escaped(f"{row} → {column}: {fine_percent(share)} % of its pixels")
            parts.append(
                f'<rect class="{kind}" x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" '
                f'fill-opacity="{share**0.5:.3f}"><title>{told}</title></rect>'
            )
            if cell == 30 and share >= LEAST_WRITTEN:
                kind = "value on-dark" if share > 0.36 else "value"
                place = f'x="{x + cell / 2}" y="{y + cell / 2 + 4}"'
                parts.append(f'<text class="{kind}" {place}>{percent(share, 0)}</text>')
    for c, column in enumerate(columns):
        place = f"translate({room + cell * (c + 0.5) + 4} {room - 6})rotate(-90)"
        parts.append(f'<text transform="{place}">{_short(column)}</text>')
    width, height = room + cell * len(columns), room + cell * len(rows)
    frame = f'<rect class="frame" x="{room - 1}" y="{room - 1}" width="{width - room}" height="{height - room}"/>'
    return (
        f'<svg class="heat" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="Heat map of confused categories">{frame}{"".join(parts)}</svg>'
    )


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= least * (1 - 1e-9))


def _plot(body: str, x_range: tuple[float, float], y_range: tuple[float, float], x_label: str, y_label: str) -> str:
    """A plot with its two axes."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in _ticks(*y_range):
        y = bottom - (bottom - TOP) * (value - y_range[0]) / (y_range[1] - y_range[0])
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
    for value in _ticks(*x_range):
        x = LEFT + (right - LEFT) * (value - x_range[0]) / (x_range[1] - x_range[0])
        parts.append(f'<text class="middle" x="{x:.1f}" y="{bottom + 17}">{value:g}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text class="middle axis" x="{middle}" y="{HEIGHT - 6}">{escaped(x_label)}</text>')
    parts.append(f'<text class="axis" x="{LEFT}" y="{TOP - 9}">{escaped(y_label)}</text>')
    label = escaped(f"{y_label} by {x_label}")
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f'{"".join(parts)}{body}<line class="base" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/></svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round values from low to high, about five; whole ones where the ends are whole and 5 or more apart."""
    step = nice_step((high - low) / 5)
    if step == 2.5 and isinstance(high, int):
        step = 5
    return [round(low + number * step, 10) for number in range(int((high - low) / step + 1e-9) + 1)]


def _percent(fraction: float) -> str:
    return f"{100 * min(max(fraction, 0.0), 1.0):.2f}%"


def _short(text: str) -> str:
    return escaped(text if len(text) <= LABEL_LETTERS else text[: LABEL_LETTERS - 1] + "…")
