"""An image from whatever a person has of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.photo.image_file import open_image
from tfpanoptic.photo.pixels import image_pixels, upright_size
from tfpanoptic.settings.sizes import DeepGrey

Result = TypeVar("Result")
Source = str | Path | bytes | Image.Image | np.ndarray
# Takes what messages call an image, and its (height, width); raises InputError if that is not wanted.
SizeCheck = Callable[[str, tuple[int, int]], None]
EXPECTED = "a path, the bytes of an image file, a PIL image or an array"


def load_image(source: Source, deep_grey: DeepGrey = "high_byte", check: SizeCheck | None = None) -> np.ndarray:
    """Upright uint8 `[H, W, 3]` of a path, the bytes of an image file, a PIL image or an array.

    Args:
        source: one of these.
        deep_grey: as in `pixels.read_image`; an array has 8 bits.
        check: is asked before pixels are decoded.

    Raises:
        InputError: it is something else, cannot be read, has no pixels, or an array is not uint8 `[H, W, 3]`.
    """
    if isinstance(source, (str, Path)):
        with open_image(Path(source)) as image:
            return _checked_pixels(image, str(source), deep_grey, check)
    if isinstance(source, (bytes, bytearray)):
        with open_image(io.BytesIO(source), f"image of {len(source)} bytes") as image:
            return _checked_pixels(image, "image", deep_grey, check)
    if isinstance(source, Image.Image):
        return _checked_pixels(source, "image", deep_grey, check)
    array = np.asarray(source)
    if array.dtype.hasobject or array.dtype.kind in "SU":
        raise InputError(f"image: expected {EXPECTED}, found {type(source).__name__}")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise InputError(f"image: expected uint8 [H, W, 3], RGB 0..255, found {array.dtype} {list(array.shape)}")
    if check is not None:
        check("image", array.shape[:2])
    return array


def _checked_pixels(image: Image.Image, origin: str, deep_grey: DeepGrey, check: SizeCheck | None) -> np.ndarray:
    """The pixels of an opened image whose size is wanted."""
    height, width = upright_size(image)
    if not height * width:
        raise InputError(f"{origin}: has no pixels, {height} x {width}; expected an image")
    if check is not None:
        check(origin, (height, width))
    return image_pixels(image, origin, deep_grey)


def of_each(work: Callable[[Source], Result], images: Sequence[Source]) -> list[Result]:
    """What `work` makes of each image; an InputError names the image by its number in the list."""
    made = []
    for number, image in enumerate(images):
        try:
            made.append(work(image))
        except InputError as error:
            raise InputError(f"images[{number}]: {error}") from None
    return made
