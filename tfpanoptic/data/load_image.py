"""An image from whatever a person has of it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tfpanoptic.data.dataset import image_pixels, read_image
from tfpanoptic.errors import InputError

_EXPECTED = "expected a path, the bytes of an image file, a PIL image, an array [H, W, 3], or a list of such"


def load_image(source: str | Path | bytes | Image.Image | np.ndarray) -> np.ndarray:
    """Upright uint8 `[H, W, 3]` of a path, the bytes of an image file, a PIL image or an array.

    Raises:
        InputError: it cannot be read, or an array is not uint8 `[H, W, 3]`.
    """
    if isinstance(source, (str, Path)):
        return read_image(source)
    if isinstance(source, (bytes, bytearray)):
        source = _opened(source)
    if isinstance(source, Image.Image):
        return image_pixels(source, "image")
    if not hasattr(source, "__array__") and not isinstance(source, (list, tuple)):
        raise InputError(f"image: {_EXPECTED}, found {'None' if source is None else type(source).__name__}")
    array = np.asarray(source)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise InputError(f"image: expected uint8 [H, W, 3], RGB 0..255, found {array.dtype} {list(array.shape)}")
    return array


def _opened(content: bytes | bytearray) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except UnidentifiedImageError:  # its text has the address of the object
        raise InputError(f"image: {len(content)} bytes that are not an image of a known kind") from None
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(f"image: {len(content)} bytes that are not an image ({error})") from None
