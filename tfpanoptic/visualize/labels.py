"""Names at the segments that have room for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfpanoptic.categories import CategoryTable
from tfpanoptic.segment_map import SegmentMap
from tfpanoptic.visualize.font import drawable, font_for

# Own choices, by eye.
MAX_LABELS_PER_CATEGORY = 20
# Part of a name's box that must lie on its own segment, and may lie on other instances.
_LEAST_OWN_THING, _LEAST_OWN_STUFF, _MOST_OTHER = 0.4, 0.8, 0.25
_MOST_COVERED = 0.45  # part of a thing that its own name may hide
_CENTERING = 0.3  # what one segment size away from the middle costs, in parts of a name's box
_SMOOTHING = 4  # samples a pixel of the rounded corners


class Label(NamedTuple):
    """A name and its box, in pixels of the picture."""

    text: str
    y: int
    x: int
    height: int
    width: int


def draw_labels(
    picture: np.ndarray, rows: np.ndarray, segment_map: SegmentMap, categories: CategoryTable, colors: np.ndarray
) -> tuple[np.ndarray, set[int]]:
    """The picture with names on it.

    Args:
        picture: uint8 `[H, W, 3]`.
        rows: int32 `[H, W]`, row of the segment table + 1, 0 where void.
        segment_map: the segments, at any size.
        categories: their names.
        colors: uint8 `[N, 3]`, of the rows.

    Returns:
        uint8 `[H, W, 3]`, and the ids of the categories that stand on it at least once.
    """
    texts = label_texts(segment_map, categories)
    font = font_for(rows.shape, {text for offered in texts for text in offered})
    texts = [tuple(drawable(text, font) for text in offered) for offered in texts]
    things = categories.isthing[segment_map.segments["category"]]
    placed = place_labels(rows, texts, things, font)
    canvas = Image.fromarray(picture)
    for row, label in placed.items():
        if things[row]:
            _draw_pill(canvas, label, font, colors[row])
        else:
            _draw_outlined(canvas, label, font)
    named = set(segment_map.segments["category"][list(placed)].tolist())
    return np.asarray(canvas), named - (set(categories.thing_ids) if len(categories.thing_ids) == 1 else set())


def label_texts(segment_map: SegmentMap, categories: CategoryTable) -> list[tuple[str, ...]]:
    """What may be written at each segment, the fullest text first.

    Scores stand behind the names of things where not every score is 1 (as in truth). Two cases are left
    to the legend: the name of the only thing category there is, and a category of more than 20 segments,
    whose labels would cover the picture.
    """
    rows = segment_map.segments
    scored = bool((rows["score"] != 1).any())
    counts = np.bincount(rows["category"], minlength=len(categories) + 1)
    texts: list[tuple[str, ...]] = []
    for row in rows:
        category, score = categories[int(row["category"])], f"{row['score']:.2f}"
        if counts[category.id] > MAX_LABELS_PER_CATEGORY:
            texts.append(())
        elif row["iscrowd"]:
            texts.append((f"{category.name} (crowd)", category.name))
        elif category.isthing and len(categories.thing_ids) == 1:
            texts.append((score,) if scored else ())
        elif category.isthing and scored:
            texts.append((f"{category.name} {score}", category.name))
        else:
            texts.append((category.name,))
    return texts


def place_labels(
    rows: np.ndarray, texts: list[tuple[str, ...]], things: np.ndarray, font: ImageFont.FreeTypeFont
) -> dict[int, Label]:
    """Row -> label, for the segments with room: no two labels touch, small things stay uncovered.

    Args:
        rows: int32 `[H, W]`, row of the segment table + 1, 0 where void.
        texts: what may be written at each row, the first that fits is taken.
        things: bool `[N]`, whether the row is of a thing category.
        font: of the names.
    """
    step = max(1, round(font.size / 6))  # places are sought on a coarser grid
    grid = rows[::step, ::step]
    areas = np.bincount(grid.ravel(), minlength=len(texts) + 1)[1:]
    thing = np.concatenate([[False], things])[grid]
    taken = np.pad(np.zeros(np.subtract(grid.shape, 2).clip(0), bool), 1, constant_values=True)
    placed = {}
    for row in sorted(np.flatnonzero(areas).tolist(), key=lambda row: (not things[row], -areas[row])):
        for text in texts[row]:
            height, width = _label_size(text, font)
            cells = (-(-height // step), -(-width // step))
            place = _best_place(grid == row + 1, thing, taken, cells, bool(things[row]))
            if place is None:
                continue
            y, x = place
            taken[max(y - 1, 0) : y + cells[0] + 1, max(x - 1, 0) : x + cells[1] + 1] = True
            placed[row] = Label(text, y * step, x * step, height, width)
            break
    return placed


def _label_size(text: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Height and width of a label's box in pixels."""
    return round(1.45 * font.size), round(font.getlength(text) + 0.9 * font.size)


def _best_place(own, thing, taken, cells: tuple[int, int], own_is_thing: bool) -> tuple[int, int] | None:
    """Top left corner of the box that has most room on its segment, near its middle; None if none fits."""
    y, x = np.nonzero(own)
    height, width = cells
    if own_is_thing and height * width * _LEAST_OWN_THING > _MOST_COVERED * len(y):
        return None
    top, left = max(y.min() - height, 0), max(x.min() - width, 0)
    part = slice(top, y.max() + height + 1), slice(left, x.max() + width + 1)
    own = own[part]
    if own.shape[0] < height or own.shape[1] < width:
        return None
    on_own = _window_means(own, cells)
    on_other = _window_means(thing[part] & ~own, cells)
    allowed = (_window_means(taken[part], cells) == 0) & (on_other <= _MOST_OTHER)
    if own_is_thing:
        allowed &= (on_own >= _LEAST_OWN_THING) & (on_own * height * width <= _MOST_COVERED * len(y))
    else:
        allowed &= on_own >= _LEAST_OWN_STUFF
    if not allowed.any():
        return None
    room = _window_means(np.pad(own, height), (3 * height, width + 2 * height))
    box_y, box_x = np.ogrid[: on_own.shape[0], : on_own.shape[1]]
    away = np.hypot(box_y + height / 2 - (y.mean() + 0.5 - top), box_x + width / 2 - (x.mean() + 0.5 - left))
    worth = on_own + room - on_other - _CENTERING * away / len(y) ** 0.5
    best = np.unravel_index(np.argmax(np.where(allowed, worth, -np.inf)), worth.shape)
    return int(best[0] + top), int(best[1] + left)


def _window_means(mask: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Part of each window of `cells` (height, width) that is set, float64 `[H - h + 1, W - w + 1]`."""
    height, width = cells
    total = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    return sums / (height * width)


def _draw_pill(canvas: Image.Image, label: Label, font: ImageFont.FreeTypeFont, color: np.ndarray) -> None:
    """White on a dark rounded box with an edge in the segment's colour."""
    size = (label.width * _SMOOTHING, label.height * _SMOOTHING)
    edge = max(1, round(font.size / 12)) * _SMOOTHING
    pill = Image.new("RGBA", size, (*color.tolist(), 0))
    ImageDraw.Draw(pill).rounded_rectangle(
        (0, 0, size[0] - 1, size[1] - 1), size[1] // 3, (18, 20, 24, 205), (*color.tolist(), 255), edge
    )
    pill = pill.resize((label.width, label.height), Image.Resampling.BOX)
    canvas.paste(pill, (label.x, label.y), pill)
    middle = (label.x + label.width / 2, label.y + label.height / 2)
    ImageDraw.Draw(canvas).text(middle, label.text, (255, 255, 255), font, anchor="mm")


def _draw_outlined(canvas: Image.Image, label: Label, font: ImageFont.FreeTypeFont) -> None:
    """White letters with a dark outline and no box: stuff stays behind things."""
    middle = (label.x + label.width / 2, label.y + label.height / 2)
    stroke = max(1, round(font.size / 9))
    ImageDraw.Draw(canvas).text(
        middle, label.text, (255, 255, 255), font, anchor="mm", stroke_width=stroke, stroke_fill=(18, 20, 24)
    )
