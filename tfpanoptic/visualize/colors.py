"""The colour of each segment: a category's own for stuff, its shades for instances.

Shades are chosen in OKLab, where equal distances look about equally different (Ottosson 2020, "A perceptual
color space for image processing"; the matrices are from there).
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.segment_map import SegmentMap, extents

# linear sRGB -> cone responses, and their cube roots -> L, a, b.
_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Own choice, by eye on COCO and on images of a hundred nuclei: a dataset with few kinds of things can spend
# more of the colour circle on telling instances apart.
_HUE_SPAN = (np.radians(16), np.radians(75))
_LIGHTNESS_STEPS = (0.0, 0.11, -0.11)
_LIGHTNESS_RANGE = (0.45, 0.90)
_LEAST_CHROMA = 0.10
# An instance is told apart from this many nearest ones.
_NEIGHBOURS = 12
# So many instances are told apart, the largest; the time grows with their square. Own choice: 4 s for this many.
_MOST_TOLD_APART = 5_000


def segment_colors(segment_map: SegmentMap, categories: CategoryTable) -> np.ndarray:
    """Colour of each row of the segment table, uint8 `[N, 3]`.

    Stuff and crowds have their category's colour. Instances have shades of it, chosen from the largest
    instance to the smallest so that those close to each other differ most; the smallest of very many take them in turn.
    """
    rows = segment_map.segments
    colors = np.array([categories[int(c)].color for c in rows["category"]], np.uint8).reshape(-1, 3)
    things = np.flatnonzero(categories.isthing[rows["category"]] & ~rows["iscrowd"])
    things = things[np.argsort(-rows["area"][things], kind="stable")]
    shades = {
        int(category): category_shades(categories[int(category)].color, len(categories.thing_ids))
        for category in np.unique(rows["category"][things])
    }
    things, others = things[:_MOST_TOLD_APART], things[_MOST_TOLD_APART:]
    for number, row in enumerate(others):
        offered = shades[int(rows["category"][row])]
        colors[row] = offered[number % len(offered)]
    place = extents(segment_map.ids).of(rows["id"][things]).boxes.astype(np.float64)
    seen = np.zeros((len(things), 3))
    for number, row in enumerate(things):
        offered = shades[int(rows["category"][row])]
        lab = rgb_to_oklab(offered)
        best = _most_distinct(lab, seen[:number], _gaps(place[number], place[:number]))
        colors[row], seen[number] = offered[best], lab[best]
    return colors


def category_shades(color: tuple[int, int, int], num_thing_categories: int) -> np.ndarray:
    """Shades of a colour, uint8 `[S, 3]`; the first is the colour itself unless it is too dark or light to show.

    Hues lie around the colour's own, within a span that shrinks with the number of thing categories so
    that categories stay recognisable, in three lightnesses that all show on light and dark pictures.
    """
    lightness, a, b = rgb_to_oklab(np.array([color], np.uint8))[0]
    hue, chroma = np.arctan2(b, a), max(np.hypot(a, b), _LEAST_CHROMA)
    span = np.clip(np.pi / num_thing_categories, *_HUE_SPAN)
    hues = hue + span * np.array([0, 1, -1, 0.5, -0.5])
    lightnesses = np.clip(lightness + np.array(_LIGHTNESS_STEPS), *_LIGHTNESS_RANGE)
    lab = [(value, chroma * np.cos(h), chroma * np.sin(h)) for value in lightnesses for h in hues]
    shades = oklab_to_rgb(np.array(lab))
    if _LIGHTNESS_RANGE[0] <= lightness <= _LIGHTNESS_RANGE[1]:
        shades[0] = color
    return shades


def _gaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pixels between a box and each of `others`, float64 `[M]`, 0 where they overlap."""
    apart = np.maximum(others[:, :2] - box[2:], box[:2] - others[:, 2:])
    return np.hypot(*np.maximum(apart, 0).T)


def _most_distinct(offered: np.ndarray, seen: np.ndarray, gaps: np.ndarray) -> int:
    """Index of the colour that is pushed away least by those already given, the nearest pushing most."""
    if len(seen) > _NEIGHBOURS:
        near = np.argpartition(gaps, _NEIGHBOURS)[:_NEIGHBOURS]
        seen, gaps = seen[near], gaps[near]
    distance = np.linalg.norm(offered[:, None] - seen[None], axis=-1)  # [S, M]
    push = 1.0 / ((distance + 0.02) ** 2 * (gaps + 4.0))
    return int(np.argmin(np.round(push.sum(axis=1), 9)))


def rgb_to_oklab(rgb: np.ndarray) -> np.ndarray:
    """OKLab (L, a, b), float64 `[..., 3]`, of sRGB uint8 `[..., 3]`."""
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _LMS.T) @ _LAB.T


def oklab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """SRGB uint8 `[..., 3]` of OKLab float `[..., 3]`, cut to what a screen can show."""
    linear = (lab @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_LMS).T
    linear = np.clip(linear, 0.0, 1.0)
    value = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * value).astype(np.uint8)
