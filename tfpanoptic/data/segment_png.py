"""PNGs of segment ids: id = R + 256 G + 65536 B, 0 for void.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.photo.image_file import load_pixels, open_image

ID_MODES = ("RGB", "RGBA", "P")


def read_segment_ids(path: Path) -> np.ndarray:
    """The segment id of each pixel, int32 `[H, W]`.

    Transparency is dropped, and the colours of a palette count as its pixels' ids.

    Raises:
        InputError: the file is missing or damaged, no PNG, or its pixels are not three channels of 8 bits.
    """
    with open_image(path) as image:
        if image.format != "PNG":
            raise InputError(f"{path}: expected a PNG of segment ids, found {image.format}")
        deep = any(str(tile[3]).endswith(";16B") for tile in getattr(image, "tile", ()))
        if image.mode not in ID_MODES or deep:
            kind = "16 bits a channel" if deep and image.mode in ID_MODES else f"Pillow mode {image.mode}"
            raise InputError(f"{path}: expected an RGB PNG of segment ids, 8 bits a channel, found {kind}")
        load_pixels(image, str(path))
        if image.mode == "P":
            with image.convert("RGB") as colors:
                return _ids(colors)
        return _ids(image)


def _ids(image: Image.Image) -> np.ndarray:
    """Pillow stores a pixel in four bytes: they are the id but for the last one, which is padding or alpha."""
    packed = image.tobytes("raw", "RGBX" if image.mode == "RGB" else "RGBA")
    return (np.frombuffer(packed, "<i4") & 0xFFFFFF).astype(np.int32, copy=False).reshape(image.height, image.width)


def require_same_ids(path: Path, found: Collection[int], listed: np.ndarray, annotation: str) -> None:
    """Checks that a PNG and its annotation speak of the same segments.

    Args:
        path: the PNG.
        found: ids that its pixels have; 0 may be among them.
        listed: ids of the annotation, integer `[N]`.
        annotation: the annotation's name, for messages.

    Raises:
        InputError: one of them has an id that the other lacks.
    """
    pixels = np.fromiter(found, np.int64, len(found))
    unknown = np.setdiff1d(pixels[pixels != 0], listed)
    if unknown.size:
        told = f"holds {counted_segments(unknown)}, which {annotation} does not list"
        raise InputError(f"{path}: {told}{palette_hint(path)}")
    absent = np.setdiff1d(listed, pixels)
    if absent.size:
        raise InputError(f"{path}: lacks {counted_segments(absent)}, which {annotation} lists")


def counted_segments(ids: np.ndarray) -> str:
    """The first of some ids and how many more there are, for messages."""
    return f"segment {ids[0]}" + (f" and {len(ids) - 1} more" if len(ids) > 1 else "")


def palette_hint(path: Path) -> str:
    """The end of a message about unknown ids, where the PNG has a palette: mostly its indices are labels."""
    with open_image(path) as image:
        return "; a palette PNG, whose colours were read as ids" if image.mode == "P" else ""
