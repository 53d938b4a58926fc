"""The photo of one image compared with its annotation; whatever the file holds, it ends with findings."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tfpanoptic.data.dataset import DECODED_ALIKE, image_content
from tfpanoptic.doctor.truth_file import Case, sizes
from tfpanoptic.errors import InputError, Sink
from tfpanoptic.photo.deep_grey import FEW_LEVELS
from tfpanoptic.photo.image_file import DAMAGED, load_pixels, open_image
from tfpanoptic.photo.pixels import exif_orientation, image_pixels
from tfpanoptic.settings.sizes import MOST_PIXELS, DeepGrey

# Formats of several images; the second one of an MPO is a preview or the other eye's.
SEVERAL_FRAMES = ("GIF", "TIFF", "WEBP", "PNG")
# A photo whose levels differ by less shows nothing. Own choice.
BLANK_LEVELS = 3
# Of a JPEG cut short a decoder fills the rest with one colour; darker and brighter ones are bars of a film or frame.
# Own choices: a block row of the format with subsampled colours, and what the eye takes for black and white.
LEAST_ROWS, DARK, BRIGHT = 16, 16, 240


def check_photo(case: Case, deep_grey: DeepGrey, sink: Sink) -> np.ndarray | None:
    """Findings about the photo of an image, which exists; its upright pixels, None where there are none.

    Args:
        case: the image.
        deep_grey: `input.deep_grey` of the configuration.
        sink: gets the findings.
    """
    record = case.record
    name, origin = record.file_name, record.image_name
    try:
        with open_image(image_content(record), origin) as image:
            orientation, stored = exif_orientation(image), image.size[::-1]
            format_, mode = str(image.format), image.mode
            frames = _frames(image)
            deep = _values_of_16_bits(image, origin) if deep_grey == "high_byte" else None
            # Few levels are a finding here, and no line on standard error.
            pixels = image_pixels(image, origin, deep_grey if deep is None else "file_range")
    except (InputError, OSError) as error:
        sink("image-unreadable", f"{name}: {str(error).removeprefix(f'{origin}: ')}")
        return None
    size, said = pixels.shape[:2], (record.height, record.width)
    if size != said:
        sink("image-turned" if stored == said else "image-size", f"{name}: {sizes(size, record)}")
    elif orientation != 1 and stored == said:
        sink("image-orientation", f"{name}: orientation {orientation}")
    if mode not in DECODED_ALIKE.get(format_, ()):
        sink("image-by-pillow", f"{name}: {format_}, {mode}")
    if frames > 1:
        sink("image-frames", f"{name}: {frames}")
    if size[0] * size[1] > MOST_PIXELS:
        sink("image-large", f"{name}: {size[0]} x {size[1]}")
    if deep is not None:
        _check_deep(name, deep, sink)
    if _is_flat(pixels):
        sink("image-blank", f"{name}: {pixels[0, 0].tolist()}")
    elif format_ in ("JPEG", "MPO"):
        rows = _flat_rows(pixels)
        if rows >= max(LEAST_ROWS, size[0] // LEAST_ROWS) and DARK < pixels[-1, 0].mean() < BRIGHT:
            sink("image-cut", f"{name}: the last {rows} of {size[0]} rows")
    return pixels


def _frames(image: Image.Image) -> int:
    """How many images a file holds, 1 where that cannot be told."""
    if image.format not in SEVERAL_FRAMES:
        return 1
    try:
        frames = int(getattr(image, "n_frames", 1))
        image.seek(0)
    except (OSError, *DAMAGED):
        return 1
    return frames


def _values_of_16_bits(image: Image.Image, origin: str) -> np.ndarray | None:
    """The grey values of an image of 16 bits, None for others."""
    if not image.mode.startswith("I;16") and (image.mode != "I" or image.format != "PNG"):
        return None
    load_pixels(image, origin)
    return np.asarray(image)


def _check_deep(name: str, values: np.ndarray, sink: Sink) -> None:
    """Findings about what the high bytes of values keep."""
    low, high = int(values.min()), int(values.max())
    levels = (high >> 8) - (low >> 8) + 1
    if low < high and levels < FEW_LEVELS:
        sink("image-few-levels", f"{name}: values {low} to {high}, {levels} levels")


def _is_flat(pixels: np.ndarray) -> bool:
    """Whether all pixels have one colour, or nearly."""
    return all(np.ptp(pixels[..., channel]) < BLANK_LEVELS for channel in range(3))


def _flat_rows(pixels: np.ndarray) -> int:
    """How many of the last rows have the one colour of the last pixel."""
    last = pixels[-1, -1]
    if (pixels[-1] != last).any():  # as a rule
        return 0
    other = (pixels != last).any(axis=(1, 2))[::-1]
    return int(other.argmax()) if other.any() else len(other)
