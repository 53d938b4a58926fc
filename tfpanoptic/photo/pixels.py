"""The upright pixels of a photo, as Pillow decodes them: the same in training and every kind of use."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image

from tfpanoptic.photo.deep_grey import as_bytes
from tfpanoptic.photo.image_file import load_pixels, open_image
from tfpanoptic.settings.sizes import DeepGrey

# Pillow's names for grey of more than 8 bits: 16, 32 and floating-point numbers.
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
EXIF_ORIENTATION = 0x0112
# Pillow's transposition for each EXIF orientation. Source: Exif 2.32, tag 274.
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path, deep_grey: DeepGrey = "high_byte") -> np.ndarray:
    """The upright image of a file, uint8 `[H, W, 3]`, RGB.

    Grey images get three equal channels, transparency is dropped, of 16-bit colours the high byte is kept and the EXIF
    orientation is applied.

    Args:
        path: the file.
        deep_grey: what becomes of grey values of more than 8 bits; `input.deep_grey` of a model.

    Raises:
        InputError: no such file, not an image, or grey values that the rule does not take.
    """
    with open_image(Path(path)) as image:
        return image_pixels(image, str(path), deep_grey)


def image_pixels(image: Image.Image, origin: str, deep_grey: DeepGrey = "high_byte") -> np.ndarray:
    """The upright pixels of an opened image, uint8 `[H, W, 3]`, RGB, by the rules of `read_image`.

    Args:
        image: opened by Pillow.
        origin: the file's name, for messages.
        deep_grey: as in `read_image`.

    Raises:
        InputError: damaged, or grey values that the rule does not take.
    """
    orientation = exif_orientation(image)
    pixels = _decoded(image, origin, deep_grey)
    if orientation in TRANSPOSITIONS:
        pixels = pixels.transpose(TRANSPOSITIONS[orientation])
    return np.asarray(pixels)


def _decoded(image: Image.Image, origin: str, deep_grey: DeepGrey) -> Image.Image:
    """The pixels as Pillow mode RGB."""
    load_pixels(image, origin)
    if image.mode not in DEEP_MODES:
        return image.convert("RGB")
    values = np.asarray(image)
    if image.mode.startswith("I;16") or image.format == "PNG":  # which some versions of Pillow open as mode I
        values = values.astype(np.uint16)
    return Image.fromarray(as_bytes(values, deep_grey, origin)).convert("RGB")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an opened image after its EXIF orientation; its pixels are not decoded."""
    width, height = image.size
    return (height, width) if exif_orientation(image) < 5 else (width, height)  # 5..8 swap the sides


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8 of an opened image; 1, upright, where it has none that can be read."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all pixels to look behind them
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    except (SyntaxError, ValueError, struct.error):
        return 1
    return orientation if orientation in TRANSPOSITIONS else 1
