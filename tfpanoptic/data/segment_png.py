"""PNGs of segment ids: id = R + 256 G + 65536 B, 0 for void.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tfpanoptic.errors import InputError
from tfpanoptic.settings.input_size import MOST_TILED_PIXELS

ID_MODES = ("RGB", "RGBA", "P")
# What Pillow raises, beside OSError, on bytes that are no image or a damaged one.
DAMAGED = (ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error)


def open_image(source: Path | BytesIO, origin: str | None = None) -> Image.Image:
    """The image file, its header read and its pixels not; the caller closes it.

    Args:
        source: a path, or the content of a file.
        origin: what messages call it; the path by default.

    Raises:
        InputError: no such file, not an image, or one so large that Pillow refuses it.
    """
    origin = origin or str(source)
    try:
        return Image.open(source)
    except FileNotFoundError:
        raise InputError(f"{origin}: no such file; expected an image") from None
    except IsADirectoryError:
        raise InputError(f"{origin}: cannot be read, it is a folder; expected an image") from None
    except UnidentifiedImageError:
        empty = isinstance(source, Path) and source.stat().st_size == 0
        raise InputError(f"{origin}: not an image{', it is empty' if empty else ' that can be read'}") from None
    except Image.DecompressionBombError:
        limit = round(2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6)
        told = f"has more than {limit} megapixels, which Pillow refuses"
        most = MOST_TILED_PIXELS // 1_000_000
        raise InputError(
            f"{origin}: {told}; expected a smaller image (PIL.Image.MAX_IMAGE_PIXELS; predict --tile takes photos of "
            f"up to {most})"
        ) from None
    except OSError as error:
        raise InputError(f"{origin}: cannot be read ({error.strerror or error})") from None
    except DAMAGED as error:
        raise InputError(f"{origin}: not an image that can be read ({error})") from None


def load_pixels(image: Image.Image, origin: str) -> None:
    """Decodes an opened image in place.

    Raises:
        InputError: damaged, or there is no memory for it; the message names `origin`.
    """
    try:
        image.load()
    except MemoryError:
        size = f"{image.height} x {image.width}"
        raise InputError(f"{origin}: no memory for its {size} pixels; expected a smaller image") from None
    except (OSError, *DAMAGED) as error:
        raise InputError(f"{origin}: damaged or cut short ({error})") from None


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
