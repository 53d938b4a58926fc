"""Masks of COCO annotations, as pycocotools draws them, with what it passes over in silence counted.

Source: pycocotools 2.0, `coco.py`, `annToRLE`: the union of the polygons of an annotation, or its RLE.
"""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import is_finite
from tfpanoptic.rle import FEWEST_COORDINATES, checked_rle, coco_masks

# Tools round, and count the far edge in or out; own choice: what leaves the image by so few pixels is not named.
BORDER = 1.0


def coco_mask(segmentation: Any, size: tuple[int, int], place: str, tally: Tally) -> np.ndarray | None:
    """The mask of a `segmentation` of a COCO JSON, bool `[H, W]`; None where nothing can be drawn.

    Args:
        segmentation: polygons or RLE, as JSON gave it.
        size: (height, width) of the image.
        place: the annotation, for examples.
        tally: gets "few-points", "outside" and "clipped" of single polygons.

    Raises:
        InputError: another kind, RLE of another size, or polygons that are no lists of coordinates; the caller adds the
            place.
    """
    if isinstance(segmentation, list):
        segmentation = [polygon for polygon in segmentation if _is_drawn(polygon, size, place, tally)]
        if not segmentation:
            return None
    return coco_masks().decode(checked_rle(segmentation, size)).astype(bool)


def _is_drawn(polygon: Any, size: tuple[int, int], place: str, tally: Tally) -> bool:
    """Whether a polygon has an area in the image."""
    if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(is_finite, polygon)):
        raise InputError(f"a polygon needs finite numbers x1, y1, x2, y2, .., found {reprlib.repr(polygon)}")
    if len(polygon) < FEWEST_COORDINATES:
        tally.add("few-points", f"{place}, {len(polygon) // 2} points")
        return False
    return is_inside(np.array(polygon, np.float64).reshape(-1, 2), size, place, tally)


def is_inside(points: np.ndarray, size: tuple[int, int], place: str, tally: Tally) -> bool:
    """Whether the box of points (x, y), float64 `[N, 2]`, touches the image; those that leave it are counted."""
    low, high = points.min(axis=0), points.max(axis=0)
    sides = np.array(size[::-1])
    if (high < 0).any() or (low > sides).any():
        tally.add("outside", place)
        return False
    if (low < -BORDER).any() or (high > sides + BORDER).any():
        tally.add("clipped", place)
    return True
