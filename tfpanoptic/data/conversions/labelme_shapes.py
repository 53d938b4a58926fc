"""Masks of labelme's shapes, drawn by Pillow as labelme draws them: pixels under the outline belong to the shape.

Source: labelme, `utils/shape.py`, `shape_to_mask`; for masks, `shape_type: mask`, whose two points are the first and
the last pixel of its box.
"""

from __future__ import annotations

import base64
import binascii
import reprlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tfpanoptic.data.conversions.coco_masks import is_inside
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import is_finite
from tfpanoptic.photo.image_file import load_pixels, open_image

# Points further from the image than so many of its sides are mistakes, and Pillow's integers end somewhere.
FARTHEST = 100


def read_points(points: Any) -> np.ndarray:
    """Points (x, y) of a JSON, float64 `[N, 2]`.

    Raises:
        InputError: no list of pairs of finite numbers.
    """
    pairs = isinstance(points, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(is_finite, pair)) for pair in points
    )
    if not pairs:
        raise InputError(f"points must be pairs of finite numbers, found {reprlib.repr(points)}")
    return np.array(points, np.float64).reshape(-1, 2)


def shape_mask(
    kind: str, points: np.ndarray, mask: str | None, size: tuple[int, int], place: str, tally: Tally
) -> np.ndarray | None:
    """The mask of a shape, bool `[H, W]`; None for one outside the image.

    Args:
        kind: "polygon", "oriented_rectangle", "rectangle", "circle" or "mask".
        points: (x, y), float64 `[N, 2]`; of a circle the centre and a point of its border.
        mask: of a mask, its PNG as base64.
        size: (height, width).
        place: the shape, for examples.
        tally: gets "outside" and "clipped".

    Raises:
        InputError: points far away, or a mask that cannot be read or has another size than its box.
    """
    box = points
    if kind == "circle":
        radius = float(np.hypot(*(points[1] - points[0])))
        box = np.array([points[0] - radius, points[0] + radius])
    if not is_inside(box, size, place, tally):
        return None
    if np.abs(box).max() > FARTHEST * max(size):
        raise InputError(f"points must lie near the image of {size[0]} x {size[1]}, found {np.abs(box).max():g}")
    if kind == "mask":
        return _pasted(points, mask, size)
    image = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(image)
    low, high = box.min(axis=0), box.max(axis=0)
    corners = [float(low[0]), float(low[1]), float(high[0]), float(high[1])]
    if kind == "circle":
        draw.ellipse(corners, outline=1, fill=1)
    elif kind == "rectangle":
        draw.rectangle(corners, outline=1, fill=1)
    else:
        draw.polygon([(float(x), float(y)) for x, y in points], outline=1, fill=1)
    return np.asarray(image)


def _pasted(points: np.ndarray, mask: str | None, size: tuple[int, int]) -> np.ndarray:
    """The whole image's mask of one that lies in the box of two points."""
    if not isinstance(mask, str):
        raise InputError(f"a mask needs its PNG under mask, found {reprlib.repr(mask)}")
    try:
        content = BytesIO(base64.b64decode(mask, validate=True))
    except (binascii.Error, ValueError) as error:
        raise InputError(f"mask is no base64 ({error})") from None
    with open_image(content, "mask") as image:
        load_pixels(image, "mask")
        part = np.asarray(image.convert("L")) > 0
    left, top = np.floor(points.min(axis=0)).astype(int).tolist()
    right, bottom = np.floor(points.max(axis=0)).astype(int).tolist()
    wanted = (bottom - top + 1, right - left + 1)
    if part.shape != wanted:
        found, expected = (f"{height} x {width}" for height, width in (part.shape, wanted))
        raise InputError(f"mask is {found} (height x width), the box of its points {expected}")
    whole = np.zeros(size, bool)
    rows, columns = slice(max(top, 0), min(bottom + 1, size[0])), slice(max(left, 0), min(right + 1, size[1]))
    whole[rows, columns] = part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole
