"""A segment map drawn over its image.

Stuff lies flat under things, instances have a shade and a contour each, crowds are striped and void is
hatched. Names stand at the segments that have room for them, and in a legend below where some category
would otherwise go unnamed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, rows_of_pixels
from tfpanoptic.visualize.colors import segment_colors
from tfpanoptic.visualize.labels import draw_labels
from tfpanoptic.visualize.legend import add_legend

# Own choices, by eye on COCO photos, stained tissue and fluorescence.
LEAST_LONG_SIDE = 700
MAX_SCALE = 4
_STUFF_OPACITY = 0.65  # of what things get
_IMAGE_SATURATION = 0.55  # the picture's own colours step back behind the categories'
_VOID_GREY = 150.0
# What is drawn at once: 24 megapixels take 0.4 GB so, and 1.6 GB in one piece.
_PIXELS_AT_ONCE = 1 << 20


def draw_overlay(
    image: np.ndarray | None,
    segment_map: SegmentMap,
    categories: CategoryTable,
    alpha: float = 0.6,
    labels: bool = True,
    scale: int | None = None,
) -> np.ndarray:
    """The segments over the image, for people to look at.

    Args:
        image: uint8 `[H, W, 3]`, RGB; None draws the segments alone.
        segment_map: of the same size.
        alpha: opacity of things, 0 (the image alone) to 1; stuff is fainter.
        labels: write names, and scores where they are not all 1, and the legend if one is needed.
        scale: enlargement of the picture, a power of two; None enlarges small images until the long
            side has 700 pixels, at most four times, so that names can be read.

    Returns:
        uint8 `[scale * H + L, scale * W, 3]`, where L is the height of the legend, 0 without one. A picture that is
        narrower than its legend stands on the left.

    Raises:
        InputError: image and segment map differ in size, the image is not uint8 RGB, or an argument is
            out of its range.
    """
    _check(image, segment_map, alpha, scale)
    height, width = segment_map.shape
    scale = enlargement(height, width) if scale is None else scale
    rows = enlarge_labels(rows_of_pixels(segment_map), scale)
    if image is not None:
        image = _enlarge_image(image, scale)
    table = segment_map.segments
    instance = categories.isthing[table["category"]] & ~table["iscrowd"]
    paint = _Paint(segment_colors(segment_map, categories), instance, table["iscrowd"], 1.0 if image is None else alpha)
    picture = np.empty((*rows.shape, 3), np.uint8)
    height = max(1, _PIXELS_AT_ONCE // rows.shape[1])
    for top in range(0, len(rows), height):
        picture[top : top + height] = _draw_strip(image, rows, slice(top, min(top + height, len(rows))), paint)
    if not labels:
        return picture
    picture, named = draw_labels(picture, rows, segment_map, categories, paint.colors)
    if named >= set(table["category"].tolist()):
        return picture
    return add_legend(picture, segment_map, categories, paint.colors)


def _check(image, segment_map: SegmentMap, alpha: float, scale: int | None) -> None:
    if image is not None and (image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3):
        raise InputError(f"image: expected uint8 [H, W, 3], found {image.dtype} {list(image.shape)}")
    if image is not None and image.shape[:2] != segment_map.shape:
        found = f"image of {image.shape[0]} x {image.shape[1]}"
        raise InputError(f"{found} and segment map of {segment_map.shape[0]} x {segment_map.shape[1]} differ in size")
    if not 0.0 <= alpha <= 1.0:
        raise InputError(f"alpha: expected 0 to 1, found {alpha}")
    if scale is not None and (scale < 1 or scale & (scale - 1)):
        raise InputError(f"scale: expected a power of two, found {scale}")


def enlargement(height: int, width: int) -> int:
    """The smallest of 1, 2, 4 that makes the long side at least 700 pixels, else 4."""
    scale = 1
    while scale < MAX_SCALE and scale * max(height, width) < LEAST_LONG_SIDE:
        scale *= 2
    return scale


def enlarge_labels(labels: np.ndarray, scale: int) -> np.ndarray:
    """Label map `[scale * H, scale * W]` with the stairs of its borders rounded; no new label appears.

    Source: the Scale2x rule (Mazzoleni 2001): a quarter of a pixel takes the label of its two outer
    neighbours where these agree with each other and with neither of the opposite ones.
    """
    while scale > 1:
        padded = np.pad(labels, 1, mode="edge")
        up, down = padded[:-2, 1:-1], padded[2:, 1:-1]
        left, right = padded[1:-1, :-2], padded[1:-1, 2:]
        free = (up != down) & (left != right)
        large = np.repeat(np.repeat(labels, 2, axis=0), 2, axis=1)
        for y, x, vertical, horizontal in (
            (0, 0, up, left),
            (0, 1, up, right),
            (1, 0, down, left),
            (1, 1, down, right),
        ):
            large[y::2, x::2] = np.where(free & (vertical == horizontal), vertical, labels)
        labels, scale = large, scale // 2
    return labels


class _Paint(NamedTuple):
    """How the rows of a segment table are drawn.

    Attributes:
        colors: uint8 `[N, 3]`.
        instance, crowd: bool `[N]`, what gets a contour and what gets stripes.
        alpha: opacity of things, and of stuff where there is no image.
    """

    colors: np.ndarray
    instance: np.ndarray
    crowd: np.ndarray
    alpha: float


def _draw_strip(image: np.ndarray | None, rows: np.ndarray, strip: slice, paint: _Paint) -> np.ndarray:
    """Some lines of the picture, uint8: at the size of a photo a few numbers a pixel take much memory."""
    own = rows[strip]
    canvas = np.full((*own.shape, 3), _VOID_GREY, np.float32) if image is None else _faded(image[strip])
    colors = _at(own, paint.colors, 0)
    opacity = np.where(paint.instance | (image is None), paint.alpha, _STUFF_OPACITY * paint.alpha)
    canvas = _blend(canvas, colors, _at(own, opacity, 0.0))
    line = line_width(*rows.shape)
    canvas = _draw_stripes(canvas, _at(own, paint.crowd, False), own == 0, strip.start, 9.0 * line, paint.alpha)
    border = _at(own, paint.instance, False) & _near_others(rows, strip, line)
    return np.round(_draw_contours(canvas, border, colors, paint.alpha)).astype(np.uint8)


def _enlarge_image(image: np.ndarray, scale: int) -> np.ndarray:
    if scale == 1:
        return image
    size = (scale * image.shape[1], scale * image.shape[0])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _faded(image: np.ndarray) -> np.ndarray:
    """The image half-way to grey, float32."""
    canvas = image.astype(np.float32)
    grey = canvas @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma
    return grey[..., None] + _IMAGE_SATURATION * (canvas - grey[..., None])


def _at(rows: np.ndarray, values: np.ndarray, void) -> np.ndarray:
    """The value of each pixel's segment `[H, W, ...]`, `void` in void."""
    values = np.asarray(values)
    return np.concatenate([np.full((1, *values.shape[1:]), void, values.dtype), values])[rows]


def _blend(canvas: np.ndarray, color: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    opacity = opacity.astype(np.float32)[..., None]
    return canvas + opacity * (color.astype(np.float32) - canvas)


def line_width(height: int, width: int) -> int:
    """Thickness of contours in pixels for a picture of this size."""
    return max(1, round(0.0022 * (height * width) ** 0.5))


def _draw_stripes(
    canvas: np.ndarray, crowd: np.ndarray, void: np.ndarray, top: int, period: float, alpha: float
) -> np.ndarray:
    """Crowds with light stripes, void darkened and hatched the other way, in lines of the picture from `top` on."""
    height, width = void.shape
    y, x = np.ogrid[top : top + height, :width]
    if crowd.any():
        canvas = _blend(canvas, np.full(3, 255), 0.45 * alpha * crowd * _stripes(x - y, period))
    if void.any():
        canvas = _blend(canvas, np.full(3, 40), 0.55 * alpha * void)
        canvas = _blend(canvas, np.full(3, 200), 0.75 * alpha * void * _stripes(x + y, period))
    return canvas


def _stripes(position: np.ndarray, period: float) -> np.ndarray:
    """Soft-edged stripes, 0 to 1, a quarter of the period wide."""
    distance = np.abs(position % period - period / 2)
    return np.clip(period / 8 + 0.5 - distance, 0.0, 1.0)


def _near_others(rows: np.ndarray, strip: slice, distance: int) -> np.ndarray:
    """Where another row begins within `distance` pixels above, below or beside, bool of the strip's shape."""
    above = min(strip.start, distance)
    around = rows[strip.start - above : strip.stop + distance]
    inner = np.ones(around.shape, bool)
    for shift in range(1, distance + 1):
        for axis in (0, 1):
            size = around.shape[axis]
            head, tail = [slice(None)] * 2, [slice(None)] * 2
            head[axis], tail[axis] = slice(0, max(size - shift, 0)), slice(min(shift, size), None)
            same = around[tuple(head)] == around[tuple(tail)]
            inner[tuple(head)] &= same
            inner[tuple(tail)] &= same
    return ~inner[above : above + strip.stop - strip.start]


def _draw_contours(canvas: np.ndarray, border: np.ndarray, color: np.ndarray, alpha: float) -> np.ndarray:
    """The inside of the border of each instance in its own colour, lightened."""
    canvas[border] = _blend(
        canvas[border], 255 - 0.7 * (255 - color[border].astype(np.float32)), np.full(1, alpha**0.3)
    )
    return canvas
