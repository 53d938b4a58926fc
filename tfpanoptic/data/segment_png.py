"""PNGs of segment ids: id = R + 256 G + 65536 B, 0 for void.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.photo.image_file import load_pixels, open_image

ID_MODES = ("RGB", "RGBA", "P")
GREY_MODES = ("L", "I", "I;16", "I;16L", "I;16B", "I;16N")


def read_segment_ids(source: Path | BytesIO, origin: str | None = None) -> np.ndarray:
    """The segment id of each pixel, int32 `[H, W]`.

    Transparency is dropped, and the colours of a palette count as its pixels' ids.

    Args:
        source: a path, or the content of a file.
        origin: what messages call it; the path by default.

    Raises:
        InputError: the file is missing or damaged, no PNG, or its pixels are not three channels of 8 bits.
    """
    path = origin or str(source)
    with open_image(source, path) as image:
        if image.format != "PNG":
            raise InputError(f"{path}: expected a PNG of segment ids, found {image.format}")
        deep = any(str(tile[3]).endswith(";16B") for tile in getattr(image, "tile", ()))
        if image.mode not in ID_MODES or deep:
            kind = "16 bits a channel" if deep and image.mode in ID_MODES else f"Pillow mode {image.mode}"
            raise InputError(f"{path}: expected an RGB PNG of segment ids, 8 bits a channel, found {kind}")
        load_pixels(image, path)
        if image.mode == "P":
            with image.convert("RGB") as colors:
                return _ids(colors)
        return _ids(image)


def _ids(image: Image.Image) -> np.ndarray:
    """Pillow stores a pixel in four bytes: they are the id but for the last one, which is padding or alpha."""
    packed = image.tobytes("raw", "RGBX" if image.mode == "RGB" else "RGBA")
    return (np.frombuffer(packed, "<i4") & 0xFFFFFF).astype(np.int32, copy=False).reshape(image.height, image.width)


def read_grey_values(source: Path | BytesIO, origin: str | None = None) -> np.ndarray:
    """The values of a grey PNG of 8 or 16 bits, int32 `[H, W]`.

    Args:
        source: a path, or the content of a file.
        origin: what messages call it; the path by default.

    Raises:
        InputError: the file is missing or damaged, or another kind of image.
    """
    path = origin or str(source)
    with open_image(source, path) as image:
        if image.format != "PNG" or image.mode not in GREY_MODES:
            found = f"{image.format} of Pillow mode {image.mode}"
            raise InputError(f"{path}: expected a grey PNG of 8 or 16 bits, found {found}")
        load_pixels(image, path)
        return np.asarray(image).astype(np.int32)


def require_same_ids(path: Path | str, found: Collection[int], listed: np.ndarray, annotation: str) -> None:
    """Checks that a PNG and its annotation speak of the same segments.

    Args:
        path: the PNG, or what messages call the map.
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


def palette_hint(path: Path | str) -> str:
    """The end of a message about unknown ids, where the PNG has a palette: mostly its indices are labels."""
    if not isinstance(path, Path):
        return ""
    with open_image(path) as image:
        return "; a palette PNG, whose colours were read as ids" if image.mode == "P" else ""
