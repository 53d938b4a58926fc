"""Small image files of all the kinds that people have, as bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 19, 21
# First row, first column, row step and column step of the seven passes. Source: PNG specification, section 8.2 (Adam7).
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
# Channels of the PNG specification's colour types.
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}

_RANDOM = np.random.default_rng(0)
_SMALL = _RANDOM.integers(0, 256, (5, 6, 3)).astype(np.uint8)
RGB = Image.fromarray(_SMALL).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
GREY, PALETTE, BITS, CMYK = RGB.convert("L"), RGB.quantize(16), RGB.convert("1"), RGB.convert("CMYK")
ALPHA = Image.fromarray(_RANDOM.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8))
RGBA, GREY_ALPHA = RGB.copy(), GREY.copy()
RGBA.putalpha(ALPHA)
GREY_ALPHA.putalpha(ALPHA)
DEEP = Image.fromarray(_RANDOM.integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16))
HALF_TURN = Image.Exif()
HALF_TURN[0x0112] = 3


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """The image as Pillow writes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(depth: int, color_type: int, interlaced: bool = False, chunks: bytes = b"") -> bytes:
    """A PNG of random values that Pillow cannot write, with further chunks before the pixels."""
    shape = (HEIGHT, WIDTH, CHANNELS[color_type])
    values = np.random.default_rng(1).integers(0, 1 << depth, shape)
    passes = [values[y::down, x::right] for y, x, down, right in PASSES] if interlaced else [values]
    rows = b"".join(b"\0" + _packed(row, depth) for part in passes for row in part)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color_type, 0, 0, interlaced)
    parts = chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = np.unpackbits(row.reshape(-1, 1).astype(np.uint8), axis=1)[:, 8 - depth :]
    return np.packbits(bits).tobytes()


def _turned(*images: Image.Image) -> list[Image.Image]:
    return [image.rotate(180) for image in images]


KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(RGB, "JPEG", quality=60),
    "jpeg 4:2:2": lambda: saved(RGB, "JPEG", subsampling=1),
    "jpeg 4:4:4": lambda: saved(RGB, "JPEG", subsampling=0),
    "jpeg progressive": lambda: saved(RGB, "JPEG", progressive=True),
    "jpeg grey": lambda: saved(GREY, "JPEG"),
    "jpeg cmyk": lambda: saved(CMYK, "JPEG"),
    "jpeg turned": lambda: saved(RGB, "JPEG", exif=HALF_TURN),
    "mpo": lambda: saved(RGB, "MPO", save_all=True, append_images=_turned(RGB)),
    "png": lambda: saved(RGB, "PNG"),
    "png grey": lambda: saved(GREY, "PNG"),
    "png 1 bit": lambda: saved(BITS, "PNG"),
    "png grey 2 bits": lambda: png(2, 0),
    "png grey 4 bits": lambda: png(4, 0),
    "png grey with alpha": lambda: saved(GREY_ALPHA, "PNG"),
    "png grey, one level transparent": lambda: saved(GREY, "PNG", transparency=100),
    "png with alpha": lambda: saved(RGBA, "PNG"),
    "png, one colour transparent": lambda: saved(RGB, "PNG", transparency=RGB.getpixel((0, 0))),
    "png palette": lambda: saved(PALETTE, "PNG"),
    "png palette 1 bit": lambda: saved(RGB.quantize(2), "PNG", bits=1),
    "png palette 4 bits": lambda: saved(PALETTE, "PNG", bits=4),
    "png palette, one colour transparent": lambda: saved(PALETTE, "PNG", transparency=3),
    "png palette with alpha": lambda: saved(PALETTE, "PNG", transparency=bytes(range(0, 256, 16))),
    "png turned": lambda: saved(RGB, "PNG", exif=HALF_TURN),
    "png animated": lambda: saved(RGB, "PNG", save_all=True, append_images=_turned(RGB)),
    "png with gamma": lambda: png(8, 2, chunks=chunk(b"gAMA", struct.pack(">I", 100_000))),
    "png with background": lambda: png(8, 6, chunks=chunk(b"bKGD", bytes(range(6)))),
    "png interlaced": lambda: png(8, 2, interlaced=True),
    "png grey interlaced": lambda: png(8, 0, interlaced=True),
    "png 16 bits grey": lambda: saved(DEEP, "PNG"),
    "png 16 bits grey with alpha": lambda: png(16, 4),
    "png 16 bits": lambda: png(16, 2),
    "png 16 bits with alpha": lambda: png(16, 6),
    "png 16 bits interlaced": lambda: png(16, 2, interlaced=True),
    "bmp": lambda: saved(RGB, "BMP"),
    "bmp 32 bits": lambda: saved(RGBA, "BMP"),
    "bmp grey": lambda: saved(GREY, "BMP"),
    "bmp palette": lambda: saved(PALETTE, "BMP"),
    "bmp 1 bit": lambda: saved(BITS, "BMP"),
    "gif": lambda: saved(PALETTE, "GIF"),
    "gif grey": lambda: saved(GREY, "GIF"),
    "gif transparent": lambda: saved(PALETTE, "GIF", transparency=3),
    "gif animated": lambda: saved(PALETTE, "GIF", save_all=True, append_images=_turned(PALETTE)),
    "tiff": lambda: saved(RGB, "TIFF"),
    "tiff turned": lambda: saved(RGB, "TIFF", exif=HALF_TURN),
    "tiff 16 bits grey": lambda: saved(DEEP, "TIFF"),
    "tiff palette, compressed": lambda: saved(PALETTE, "TIFF", compression="tiff_lzw"),
    "tiff cmyk": lambda: saved(CMYK, "TIFF"),
    "webp": lambda: saved(RGB, "WEBP"),
    "webp with alpha": lambda: saved(RGBA, "WEBP", lossless=True),
    "jpeg 2000": lambda: saved(RGB, "JPEG2000"),
    "ppm": lambda: saved(RGB, "PPM"),
}
