"""An image from whatever a person has of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tfpanoptic.data.dataset import image_pixels, read_image
from tfpanoptic.data.segment_png import open_image
from tfpanoptic.errors import InputError
from tfpanoptic.settings.input_size import DeepGrey

EXPECTED = "a path, the bytes of an image file, a PIL image or an array"


def load_image(source: str | Path | bytes | Image.Image | np.ndarray, deep_grey: DeepGrey = "high_byte") -> np.ndarray:
    """Upright uint8 `[H, W, 3]` of a path, the bytes of an image file, a PIL image or an array.

    Args:
        source: one of these.
        deep_grey: as in `dataset.read_image`; an array has 8 bits.

    Raises:
        InputError: it is something else, cannot be read, has no pixels, or an array is not uint8 `[H, W, 3]`.
    """
    if isinstance(source, (str, Path)):
        return read_image(source, deep_grey)
    if isinstance(source, (bytes, bytearray)):
        with open_image(io.BytesIO(source), f"image of {len(source)} bytes") as image:
            return image_pixels(image, "image", deep_grey)
    if isinstance(source, Image.Image):
        return image_pixels(source, "image", deep_grey)
    array = np.asarray(source)
    if array.dtype.hasobject or array.dtype.kind in "SU":
        raise InputError(f"image: expected {EXPECTED}, found {type(source).__name__}")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise InputError(f"image: expected uint8 [H, W, 3], RGB 0..255, found {array.dtype} {list(array.shape)}")
    return array
