"""The report's worst images: what each costs, which errors it has, and its pictures to flip through."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.attribution import CAUSES, STUFF_THING, WRONG_CATEGORY
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.report.causes import STYLES, error_words, swatch
from tfpanoptic.report.pictures import VIEWS, ScenePictures, draw_scene
from tfpanoptic.report.text import counted, escaped, fine_percent, in_words, name, percent
from tfpanoptic.segment_map import SegmentMap

# Gives photo, truth and prediction of an image by its name; the photo is None where there is none.
Scenes = Callable[[str], tuple[np.ndarray | None, SegmentMap, SegmentMap]]
# Categories whose errors are told one by one.
MOST_CATEGORIES = 6
# Longer values of the images' table, such as addresses and checksums, are left out.
LONGEST_VALUE = 24
# Size of the letters in a name's box, which was made for another font: readers' fonts may be wider.
LETTERS = 0.9
_PHOTO = "photo"
_SIDE_BY_SIDE = "all"


class WorstImage(NamedTuple):
    """An image and its share of the lost PQ, as fractions of 1 and of all that is lost."""

    counts: ImageCounts
    lost: float
    share: float


def scene_list(worst: list[WorstImage], evaluation: Evaluation, scenes: Scenes | None) -> str:
    """The images with their pictures; numbers alone where `scenes` is None.

    Raises:
        InputError: `scenes` cannot read an image, or its parts do not fit together.
    """
    parts = [] if scenes is None else [_legend(), _switch()]
    categories = evaluation.categories
    known = {column for image in evaluation.images.values() for column in image.columns}
    columns = sorted(column for column in known if len(evaluation.by(column)) > 1)
    for rank, image in enumerate(worst, start=1):
        told = _told(rank, image, categories, columns)
        pictures = ""
        if scenes is not None:
            drawn = draw_scene(image.counts.name, *scenes(image.counts.name), categories)
            pictures = _pictures(rank, image.counts.name, drawn)
        parts.append(f'<article class="scene" id="image-{rank}">{told}{pictures}</article>\n')
    return "".join(parts)


def _told(rank: int, image: WorstImage, categories: CategoryTable, columns: list[str]) -> str:
    """Name, numbers and errors of an image, and what `columns` of the images' table say of it."""
    counts = image.counts
    summary = summarize_rows(counts.rows["pq"], categories)
    totals = {key: sum(entry[key] for entry in summary["per_category"].values()) for key in ("tp", "fp", "fn")}
    values = {key: str(counts.columns[key]) for key in columns if key in counts.columns}
    short = "".join(f"<li>{escaped(k)}: {name(v)}</li>" for k, v in values.items() if len(v) <= LONGEST_VALUE)
    missing = '<p class="warning">There was no prediction for this image.</p>' if counts.missing else ""
    return (
        f'<h3><span class="rank">{rank}</span>{name(counts.name)}</h3>'
        f'<ul class="facts"><li>costs <b>{fine_percent(image.lost)}</b> points, '
        f"{fine_percent(image.share)} % of all that is lost</li>"
        f"<li>PQ of this image <b>{percent(summary['all']['pq'])}</b></li>"
        f"<li>{totals['tp']} TP, {totals['fp']} FP, {totals['fn']} FN</li>{short}</ul>{missing}"
        f"{_errors(counts, categories) if 'causes' in counts.rows else ''}"
    )


def _errors(counts: ImageCounts, categories: CategoryTable) -> str:
    """`2 merged, 1 missed`, of all categories and of those with most errors."""
    rows = counts.rows["causes"]
    by_category: dict[int, dict[str, tuple[int, int]]] = {}
    for category, cause, _, _, wrong, missed in rows.tolist():
        # An object of the wrong category is told once, at the category that it has.
        told_elsewhere = cause in (WRONG_CATEGORY, STUFF_THING) and not missed
        if (wrong or missed) and not told_elsewhere:
            by_category.setdefault(int(category), {})[CAUSES[int(cause)]] = (int(wrong), int(missed))
    if not by_category:
        return "<p>No segment is missed or wrong; its matches are imprecise.</p>"
    whole = {
        cause: tuple(sum(errors.get(cause, (0, 0))[side] for errors in by_category.values()) for side in (0, 1))
        for cause in CAUSES
    }
    words = error_words(whole)  # type: ignore[arg-type]
    told = f'<p class="words">{in_words([f"<span>{swatch(cause)}{word}</span>" for cause, word in words.items()])}</p>'
    if len(by_category) == 1 and len(categories.thing_ids) <= 1:
        return told
    order = sorted(by_category, key=lambda c: (-sum(map(sum, by_category[c].values())), c))
    lines = [
        f"<li>{name(categories[c].name)}: {', '.join(error_words(by_category[c]).values())}</li>"
        for c in order[:MOST_CATEGORIES]
    ]
    more = len(order) - MOST_CATEGORIES
    if more > 0:
        lines.append(f"<li>and {counted(more, 'more category', 'more categories')}</li>")
    return f'{told}<ul class="by-category">{"".join(lines)}</ul>'


def _legend() -> str:
    """What the colours of the error pictures mean."""
    causes = "".join(f"<li>{swatch(cause)}{escaped(style.label)}</li>" for cause, style in STYLES.items())
    return (
        f'<ul class="legend" aria-label="Colours of the errors">{causes}'
        '<li><svg class="swatch" aria-hidden="true"><rect fill="url(#void)"/></svg>Void</li>'
        '<li><svg class="swatch" aria-hidden="true"><rect class="dimmed"/></svg>Right</li></ul>'
    )


def _switch() -> str:
    """Buttons that show the same of all images."""
    buttons = "".join(
        f'<button type="button" data-view="{view}">{label}</button>'
        for view, label in ((_SIDE_BY_SIDE, "side by side"), *((view, view) for view in VIEWS))
    )
    return f'<p class="switch scripted">Show of all images: {buttons}</p>'


def _pictures(rank: int, image: str, drawn: ScenePictures) -> str:
    """The pictures of an image and what chooses among them; the photo is in the page once."""
    views = [*VIEWS, *([_PHOTO] if drawn.photo else [])]
    choices = "".join(
        f'<input type="radio" name="view-{rank}" id="view-{rank}-{view}" value="{view}" class="{view}"'
        f'{" checked" if view == _SIDE_BY_SIDE else ""}><label for="view-{rank}-{view}">'
        f"{'side by side' if view == _SIDE_BY_SIDE else view}</label>"
        for view in (_SIDE_BY_SIDE, *views)
    )
    size = f'width="{drawn.width}" height="{drawn.height}"'
    below = (
        f'<image id="photo-{rank}" href="{drawn.photo}" {size} preserveAspectRatio="none"/>'
        if drawn.photo
        else f'<rect id="photo-{rank}" class="no-photo" {size}/>'
    )
    figures = "".join(_figure(rank, image, drawn, view) for view in views)
    return (
        f'<svg class="definitions" aria-hidden="true"><defs>{below}</defs></svg>'
        f'<div class="flip">{choices}<div class="views">{figures}</div></div>'
    )


def _figure(rank: int, image: str, drawn: ScenePictures, view: str) -> str:
    muted = {"errors": ' filter="url(#grey)"', _PHOTO: ""}.get(view, ' filter="url(#muted)"')
    layer, names = "", ""
    if view != _PHOTO:
        layer = f'<image href="{drawn.layers[view]}" width="{drawn.width}" height="{drawn.height}"/>'
        middles = [(label.x + label.width / 2, label.y + label.height / 2, label.text) for label in drawn.names[view]]
        texts = "".join(f'<text x="{x:.0f}" y="{y:.0f}">{escaped(text)}</text>' for x, y, text in middles)
        names = f'<g class="names" font-size="{LETTERS * drawn.points:.0f}">{texts}</g>' if texts else ""
    return (
        f'<figure class="{view}"><svg viewBox="0 0 {drawn.width} {drawn.height}" role="img" '
        f'aria-label="{escaped(f"{view} of {image}")}"><use href="#photo-{rank}"{muted}/>{layer}{names}</svg>'
        f"<figcaption>{view}</figcaption></figure>"
    )
