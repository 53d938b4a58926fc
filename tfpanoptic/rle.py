"""Masks as COCO's run-length encoding, checked before pycocotools gets them: its C code trusts what it reads.

RLE holds the lengths of runs of 0 and 1 in turn, 0 first, along the columns. The compressed form writes each length,
from the fourth one as the difference to the last but one, in groups of five bits, a character each.

Source: pycocotools 2.0, `maskApi.c`, `rleToString` and `rleFrPoly`; https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import is_finite

FIRST_CHARACTER = 48  # "0"
MORE, SIGN, DIGIT = 32, 16, 31
# Characters of a length: seven hold 35 bits, and no image has 2**32 pixels.
MOST_CHARACTERS = 7
# x and y of three corners.
FEWEST_COORDINATES = 6


def coco_masks() -> Any:
    """The module `pycocotools.mask`.

    Raises:
        InputError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError:
        raise InputError("masks as RLE need pycocotools: pip install pycocotools") from None
    return mask


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Compressed RLE `{"size": [H, W], "counts": bytes}` of a mask, bool `[H, W]`.

    Raises:
        InputError: pycocotools is not installed.
    """
    return coco_masks().encode(np.asfortranarray(mask, np.uint8))


def checked_rle(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Compressed RLE of the `segmentation` of a COCO JSON: RLE of either form, or polygons.

    Args:
        segmentation: as JSON gave it.
        size: (height, width) of the image.

    Raises:
        InputError: another kind, another size than the image, runs that do not fill it, or polygons that are none
            or lie off it; the caller adds the entry's place. pycocotools is not installed.
    """
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, size)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise InputError(f"segmentation must be polygons or RLE with size and counts, found {_short(segmentation)}")
    if segmentation["size"] != list(size):
        raise InputError(f"segmentation has size {_short(segmentation['size'])}, its image {list(size)}")
    given, pixels = segmentation["counts"], size[0] * size[1]
    counts = _decoded(given) if isinstance(given, str) else _listed(given)
    if ((counts < 0) | (counts > pixels)).any() or counts.sum() != pixels:
        raise InputError(f"the runs of segmentation do not add up to its image's {pixels} pixels: {_short(given)}")
    if isinstance(given, str) and (counts[1:] > 0).all():
        return {"size": list(size), "counts": given.encode("ascii")}
    # Written anew, for empty runs inside mislead pycocotools.
    columns = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size[::-1])
    return encode_mask(columns.T)


def _decoded(text: str) -> np.ndarray:
    """The lengths of compressed RLE, int64 `[R]`."""
    # What is no ASCII becomes several bytes above any character of the form.
    codes = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - FIRST_CHARACTER
    if codes.size == 0 or codes.min() < 0 or codes.max() > (MORE | DIGIT) or codes[-1] & MORE:
        raise InputError(f"segmentation counts are no compressed RLE, or cut short: {_short(text)}")
    last = np.flatnonzero(codes & MORE == 0)
    first = np.append(0, last[:-1] + 1)
    characters = last - first + 1
    if characters.max() > MOST_CHARACTERS:
        raise InputError(f"segmentation counts hold a length above any image: {_short(text)}")
    place = np.arange(codes.size) - np.repeat(first, characters)
    lengths = np.add.reduceat((codes & DIGIT) << 5 * place, first)
    lengths -= np.where(codes[last] & SIGN, 1 << 5 * characters, 0)
    for start in (1, 2):
        lengths[start::2] = np.cumsum(lengths[start::2])
    return lengths


def _listed(counts: Any) -> np.ndarray:
    """The lengths of RLE that is not compressed, int64 `[R]`."""
    if not isinstance(counts, list) or not all(type(count) is int and 0 <= count < 1 << 32 for count in counts):
        raise InputError(f"segmentation counts must be a text or a list of lengths, found {_short(counts)}")
    return np.array(counts, np.int64)


def _of_polygons(polygons: list[Any], size: tuple[int, int]) -> dict[str, Any]:
    """RLE of the union of polygons, each a list x1, y1, x2, y2, ..; they may leave the image by its own size."""
    limits = [(-side, 2 * side) for side in reversed(size)]
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < FEWEST_COORDINATES or len(polygon) % 2:
            raise InputError(f"a polygon needs pairs of x and y, three or more, found {_short(polygon)}")
        for position, value in enumerate(polygon):
            low, high = limits[position % 2]
            if not is_finite(value) or not low <= value <= high:
                raise InputError(f"coordinates of a polygon must be numbers near the image, found {_short(value)}")
    if not polygons:
        raise InputError("segmentation must be polygons or RLE, found an empty list")
    masks = coco_masks()
    return masks.merge(masks.frPyObjects(polygons, *size))


def _short(value: Any) -> str:
    return reprlib.repr(value)
