"""The legend below a picture: every category in it, with its colours and how many segments it has."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tfpanoptic.categories import CategoryTable
from tfpanoptic.segment_map import SegmentMap, extents
from tfpanoptic.visualize.font import drawable, font_for

_BACKGROUND = (24, 26, 31)
_TEXT, _FAINT_TEXT = (236, 238, 242), (150, 156, 166)
_MAX_SWATCHES = 4


class Entry(NamedTuple):
    """A category in the legend: its name, how much of it there is, and some of its colours (none for void)."""

    name: str
    amount: str
    shades: list[tuple[int, int, int]]


def add_legend(
    picture: np.ndarray, segment_map: SegmentMap, categories: CategoryTable, colors: np.ndarray
) -> np.ndarray:
    """The picture with its legend below, uint8 `[H + L, max(W, w), 3]`, w being the width of the longest entry.

    Args:
        picture: uint8 `[H, W, 3]`.
        segment_map: the segments.
        categories: their names.
        colors: uint8 `[N, 3]`, of the rows.
    """
    strip = legend_strip(segment_map, categories, colors, picture.shape[:2])
    beside = np.full((picture.shape[0], strip.shape[1] - picture.shape[1], 3), _BACKGROUND, np.uint8)
    return np.concatenate([np.concatenate([picture, beside], axis=1), strip])


def legend_strip(
    segment_map: SegmentMap, categories: CategoryTable, colors: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The legend of a picture, uint8 `[L, max(W, w), 3]`: as wide as the picture, or as its longest entry needs.

    Args:
        segment_map: the segments.
        categories: their names.
        colors: uint8 `[N, 3]`, of the rows.
        size: (height, width) of the picture in pixels.
    """
    entries = legend_entries(segment_map, categories, colors)
    font = font_for(size, {entry.name for entry in entries})
    entries = [entry._replace(name=drawable(entry.name, font)) for entry in entries]
    swatch, gap, margin = round(0.9 * font.size), round(0.45 * font.size), round(0.9 * font.size)
    line_height = round(1.7 * font.size)
    widths = []
    for name, amount, shades in entries:
        texts_width = font.getlength(name) + (gap + font.getlength(amount) if amount else 0)
        widths.append(max(len(shades), 1) * swatch + gap + math.ceil(texts_width))
    strip_width = max(size[1], *(width + 2 * margin for width in widths))
    places, y, x = [], margin // 2, margin
    for width in widths:
        if x > margin and x + width + margin > strip_width:
            y, x = y + line_height, margin
        places.append((y, x))
        x += width + 2 * margin
    strip = Image.new("RGB", (strip_width, y + line_height + margin // 2), _BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for (name, amount, shades), (y, x) in zip(entries, places, strict=True):
        top, middle = y + (line_height - swatch) // 2, y + line_height / 2
        for shade in shades:
            draw.rectangle((x, top, x + swatch - 1, top + swatch - 1), shade)
            x += swatch
        if not shades:
            strip.paste(_hatched_square(swatch), (x, top))
            x += swatch
        draw.text((x + gap, middle), name, _TEXT, font, anchor="lm")
        draw.text((x + 2 * gap + font.getlength(name), middle), amount, _FAINT_TEXT, font, anchor="lm")
    return np.asarray(strip)


def _hatched_square(size: int) -> Image.Image:
    """The sign of void, as it looks in the picture."""
    y, x = np.ogrid[:size, :size]
    period = max(4, size // 2)
    return Image.fromarray(np.where((y + x) % period < period / 3, 185, 62).astype(np.uint8))


def legend_entries(segment_map: SegmentMap, categories: CategoryTable, colors: np.ndarray) -> list[Entry]:
    """The categories in the picture: things first, then stuff, each from the largest area to the smallest.

    Things come with the number of instances (crowds do not count), void with its part of the image.
    """
    rows = segment_map.segments
    areas = np.bincount(rows["category"], rows["area"], minlength=len(categories) + 1)
    found = sorted(set(rows["category"].tolist()), key=lambda c: (not categories[c].isthing, -areas[c]))
    entries = []
    for category_id in found:
        category, own = categories[category_id], rows["category"] == category_id
        instances = int((own & ~rows["iscrowd"]).sum())
        shades = list(dict.fromkeys(map(tuple, colors[own].tolist())))[:_MAX_SWATCHES]
        entries.append(Entry(category.name, str(instances) if category.isthing else "", shades))
    void = 1 - extents(segment_map.ids).of(rows["id"]).areas.sum() / segment_map.ids.size
    if void >= 0.001:
        entries.append(Entry("void", f"{100 * void:.1f} %", []))
    return entries
