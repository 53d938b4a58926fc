"""How the report shows and explains each cause of lost points: a colour, a pattern, what it means and what to try.

Source of the colours: Okabe & Ito 2008, a palette that people with any kind of colour blindness can tell apart; the
patterns say the same once more. Advice is for any panoptic model; what it says of centres is for bottom-up ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tfpanoptic.evaluation.measures.attribution import CAUSES


class Pattern(NamedTuple):
    """A pattern on the page and in pictures.

    Attributes:
        markup: SVG in a tile of 8 x 8.
        strong: (y `[H, 1]`, x `[1, W]`, period) in pixels -> where the colour is strong, bool that broadcasts to
            `[H, W]`.
    """

    markup: str
    strong: Callable[[np.ndarray, np.ndarray, int], np.ndarray]


class CauseStyle(NamedTuple):
    """How a cause looks and reads."""

    label: str
    color: str
    pattern: Pattern
    meaning: str
    advice: str


PLAIN = Pattern("", lambda y, x, n: y < 0)
RISING = Pattern('<path d="M-2 2 2-2M0 8 8 0M6 10 10 6"/>', lambda y, x, n: 8 * ((y + x) % n) < 3 * n)
FALLING = Pattern('<path d="M-2 6 2 10M0 0 8 8M6-2 10 2"/>', lambda y, x, n: 8 * ((y - x) % n) < 3 * n)
HORIZONTAL = Pattern('<path d="M0 4H8"/>', lambda y, x, n: 8 * (y % n) < 3 * n)
VERTICAL = Pattern('<path d="M4 0V8"/>', lambda y, x, n: 8 * (x % n) < 3 * n)
GRID = Pattern('<path d="M0 4H8M4 0V8"/>', lambda y, x, n: (8 * (y % n) < 2 * n) | (8 * (x % n) < 2 * n))
DOTS = Pattern(
    '<circle cx="4" cy="4" r="2.6"/>',
    lambda y, x, n: 64 * ((y % n - n / 2) ** 2 + (x % n - n / 2) ** 2) < 6.8 * n * n,
)
CHECKS = Pattern('<path class="filled" d="M0 0H4V8H8V4H0Z"/>', lambda y, x, n: (2 * (y % n) < n) == (2 * (x % n) < n))

STYLES: Mapping[str, CauseStyle] = {
    "imprecise": CauseStyle(
        "Imprecise",
        "#999999",
        PLAIN,
        "Found, but the mask is not exact: a match costs what its IoU lacks to 1.",
        "Finer output stride or larger input; and check how exact the annotations are, which limits this.",
    ),
    "wrong_category": CauseStyle(
        "Wrong category",
        "#CC79A7",
        DOTS,
        "The right outline (IoU above 0.5) under another category of the same kind, thing or stuff.",
        "See which categories are confused; merge or clarify labels, or give rare categories more weight and examples.",
    ),
    "stuff_thing": CauseStyle(
        "Stuff for thing",
        "#F0E442",
        GRID,
        "The right outline, but a thing was taken for stuff or stuff for a thing.",
        "Check which categories are marked as things, and the order and thresholds by which things go over stuff.",
    ),
    "merged": CauseStyle(
        "Merged",
        "#D55E00",
        HORIZONTAL,
        "One predicted segment covers more than half of each of several true segments of its category.",
        "Tell neighbours apart: smaller suppression window, sharper centres, higher resolution, more crowded images.",
    ),
    "split": CauseStyle(
        "Split",
        "#56B4E9",
        VERTICAL,
        "Several predicted segments lie by more than half in one true segment of their category.",
        "Suppress more: larger suppression window or higher centre threshold; more context for large objects.",
    ),
    "boundary": CauseStyle(
        "Poor boundary",
        "#009E73",
        CHECKS,
        "The right object and category, with an IoU of 0.3 to 0.5: too little for a match.",
        "As for imprecise ones; small segments suffer most, so look at the sizes, too.",
    ),
    "missed": CauseStyle(
        "Missed",
        "#0072B2",
        RISING,
        "A true segment that no prediction of its category comes near.",
        "Lower the score threshold or the least area; train on more of such examples; see size and category.",
    ),
    "spurious": CauseStyle(
        "Spurious",
        "#E69F00",
        FALLING,
        "A predicted segment where nothing of its category is.",
        "Raise the score threshold or the least area; and look whether the annotation left something out.",
    ),
}
# What an image's list of errors calls them.
_WORDS = {"wrong_category": "of the wrong category", "stuff_thing": "stuff for thing", "boundary": "with poor boundary"}


def error_words(errors: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """By cause `2 merged`, `1 missed`, ...: the most frequent first.

    Args:
        errors: cause -> its wrong and its missed segments. The missed ones count; where there are none, the wrong.
    """
    numbers = {cause: missed or wrong for cause, (wrong, missed) in errors.items() if missed or wrong}
    order = sorted(numbers, key=lambda cause: (-numbers[cause], CAUSES.index(cause)))
    return {cause: f"{numbers[cause]:,} {_WORDS.get(cause, cause)}" for cause in order}


def definitions() -> str:
    """The SVG that the page refers to: patterns `cause-...` and `void`, filters `muted` and `grey` for photos."""
    patterns = "".join(
        f'<pattern id="cause-{cause}" width="8" height="8" patternUnits="userSpaceOnUse" fill="{style.color}" '
        f'stroke="{style.color}"><rect width="8" height="8" stroke="none" fill-opacity="{_weak_opacity(style)}"/>'
        f"{style.pattern.markup}</pattern>"
        for cause, style in STYLES.items()
    )
    patterns += (
        '<pattern id="void" width="8" height="8" patternUnits="userSpaceOnUse" fill="#4a4d53" stroke="#b9bdc4">'
        f'<rect width="8" height="8" stroke="none"/>{RISING.markup}</pattern>'
    )
    filters = "".join(
        f'<filter id="{key}" color-interpolation-filters="sRGB">'
        f'<feColorMatrix type="saturate" values="{kept}"/></filter>'
        for key, kept in (("muted", 0.55), ("grey", 0))
    )
    return f'<svg class="definitions" aria-hidden="true"><defs>{patterns}{filters}</defs></svg>\n'


def swatch(cause: str) -> str:
    """A small square that looks as the cause does."""
    return f'<svg class="swatch" aria-hidden="true"><rect fill="url(#cause-{cause})"/></svg>'


def _weak_opacity(style: CauseStyle) -> float:
    return 1 if style.pattern is PLAIN else 0.45
