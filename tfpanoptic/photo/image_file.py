"""Image files opened and decoded by Pillow; what is wrong with one is told in one line."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from tfpanoptic.errors import InputError

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
        raise InputError(f"{origin}: {told}; expected a smaller image (PIL.Image.MAX_IMAGE_PIXELS)") from None
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
