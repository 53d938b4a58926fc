"""What the header of a JPEG or PNG says of the image, in TensorFlow operators: before any pixel is decoded.

Nothing here fails, whatever the bytes are: what cannot be read is 0, and an orientation is 1, upright.

Sources: JPEG, ITU-T T.81, annex B; PNG specification, sections 5 and 11; Exif 2.32, section 4.6 (the tags of a TIFF
file). Which of several orientations counts is Pillow's rule (`Image.getexif`).
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

# First bytes of the files.
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# First bytes of the JPEG segments with EXIF tags and with XMP, both of marker APP1.
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_ORIENTATION = 0x0112
# TIFF's types of whole numbers of 2 and 4 bytes.
_SHORT, _LONG = (3, 8), (4, 9)
# Bytes beyond the end that may be looked at.
_MARGIN = 64


class ImageHeader(NamedTuple):
    """The header of one image, tensors of shape [].

    Attributes:
        is_jpeg: bool.
        is_png: bool.
        height: int64, as stored, before the orientation is applied; 0 where there is none.
        width: int64.
        channels: int32, of the components of a JPEG; 0 for a PNG.
        deep_grey: bool, whether it is a grey PNG of 16 bits without alpha.
        orientation: int32, 1..8 by EXIF.
        ends: bool, whether the mark of the end follows, without which no decoder takes it.
    """

    is_jpeg: tf.Tensor
    is_png: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    channels: tf.Tensor
    deep_grey: tf.Tensor
    orientation: tf.Tensor
    ends: tf.Tensor


def read_header(content: tf.Tensor) -> ImageHeader:
    """The header of an image file's bytes, string []."""
    is_jpeg = tf.strings.substr(content, 0, len(JPEG)) == JPEG
    is_png = tf.strings.substr(content, 0, len(PNG)) == PNG
    told = tf.cond(is_jpeg, lambda: _jpeg(content), lambda: tf.cond(is_png, lambda: _png(content), _nothing))
    return ImageHeader(is_jpeg, is_png, *told)


def _nothing() -> tuple[tf.Tensor, ...]:
    zero = tf.zeros([], tf.int64)
    no = tf.constant(False)
    return zero, zero, tf.zeros([], tf.int32), no, tf.ones([], tf.int32), no


def _jpeg(content: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Goes from segment to segment up to the pixels, and notes where frame, EXIF and XMP are."""
    data = _bytes(content)
    end = tf.strings.length(content)

    def inside(at, frame, exif, xmp):
        # 0xDA begins the pixels.
        return (at < end) & (_number(data, at, 1) == 0xFF) & (_number(data, at + 1, 1) != 0xDA)

    def step(at, frame, exif, xmp):
        marker, length = _number(data, at + 1, 1), _number(data, at + 2, 2)
        # C4, C8 and CC are tables among the markers of frames.
        is_frame = (marker & 0xF0 == 0xC0) & tf.reduce_all(marker != [0xC4, 0xC8, 0xCC])
        is_app1 = marker == 0xE1
        lone = (marker >= 0xD0) & (marker <= 0xD9) | (marker == 0x01)
        advance = tf.where(marker == 0xFF, 1, tf.where(lone, 2, 2 + tf.maximum(length, 2)))
        first = (exif == 0) & is_app1 & _begins(content, at + 4, _EXIF)
        return (
            at + advance,
            tf.where(is_frame, at, frame),
            tf.where(first, at, exif),
            tf.where(is_app1 & _begins(content, at + 4, _XMP), at, xmp),
        )

    zero = tf.zeros([], tf.int32)
    pixels, frame, exif, xmp = tf.while_loop(inside, step, (tf.constant(2), zero, zero, zero))
    height, width = (tf.where(frame > 0, _number(data, frame + at, 2), 0) for at in (5, 7))
    channels = tf.where(frame > 0, _number(data, frame + 9, 1), 0)
    tag = tf.cond(
        exif > 0,
        lambda: _orientation_tag(data, exif + 4 + len(_EXIF), exif + 2 + _number(data, exif + 2, 2)),
        lambda: tf.constant(-1),
    )
    tag = tf.cond(
        (xmp > 0) & (tag == -1),
        lambda: _xmp_orientation(tf.strings.substr(content, xmp + 4, _number(data, xmp + 2, 2) - 2)),
        lambda: tag,
    )
    sides = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    return *sides, channels, tf.constant(False), _known(tag), _holds(data[pixels:], b"\xff\xd9")


def _png(content: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """The first chunk has the size; one of EXIF tags counts if it comes before the pixels."""
    data = _bytes(content)
    end = tf.strings.length(content)

    def inside(at, exif):
        return (at < end) & (exif == 0) & (tf.strings.substr(content, tf.minimum(at + 4, end), 4) != b"IDAT")

    def step(at, exif):
        # Longer than 2**28 bytes is beyond the file's end, and stays so in 32 bits.
        length = tf.where(_number(data, at, 1) < 16, _number(data, at, 4), 1 << 28)
        is_exif = _begins(content, at + 4, b"eXIf")
        return tf.minimum(at + 12 + length, end), tf.where(is_exif, at, exif)

    pixels, exif = tf.while_loop(inside, step, (tf.constant(len(PNG)), tf.zeros([], tf.int32)))
    tag = tf.cond(
        exif > 0,
        lambda: _orientation_tag(data, exif + 8, exif + 8 + _number(data, exif, 4)),
        lambda: tf.constant(-1),
    )
    # Two numbers of 4 bytes at 16, then the bits of a channel and the colour type, 0 for grey.
    wide = tf.cast(data[16:24], tf.int64)
    height, width = (tf.reduce_sum(part * [1 << 24, 1 << 16, 1 << 8, 1]) for part in (wide[4:], wide[:4]))
    deep_grey = tf.reduce_all(data[24:26] == [16, 0])
    return height, width, tf.zeros([], tf.int32), deep_grey, _known(tag), _holds(data[pixels:], b"IEND")


def _orientation_tag(data: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """The orientation of a TIFF file from `start` to `end` in the bytes, int32 []; -1 without one, 0 if damaged.

    Its first list of tags counts, and the first of equal tags.
    """
    end = tf.minimum(end, tf.shape(data)[0] - _MARGIN)
    head = _number(data, start, 4)
    little, big = head == int.from_bytes(b"II*\0"), head == int.from_bytes(b"MM\0*")

    def number(at: tf.Tensor, size: int) -> tf.Tensor:
        inside = (at >= start) & (at + size <= end)
        at = tf.where(inside, at, start)
        return tf.where(inside, tf.where(little, _number(data, at, size, True), _number(data, at, size)), 0)

    first = start + tf.clip_by_value(number(start + 4, 4), 0, tf.shape(data)[0])
    count = tf.minimum(number(first, 2), (end - first - 2) // 12)
    entries = first + 2 + 12 * tf.range(tf.maximum(count, 0))
    kinds = number(entries + 2, 2)
    short, long = (tf.reduce_any(kinds[:, None] == list(types), 1) for types in (_SHORT, _LONG))
    values = tf.where(short, number(entries + 8, 2), tf.where(long, number(entries + 8, 4), 0))
    # Two short ones stand in the entry as well; the first counts.
    counts = number(entries + 4, 4)
    values = tf.where((counts == 1) | (counts == 2) & short, values, 0)
    found = tf.boolean_mask(values, number(entries, 2) == _ORIENTATION)
    return tf.where(little | big, tf.concat([found, [-1]], 0)[0], 0)


def _xmp_orientation(xmp: tf.Tensor) -> tf.Tensor:
    """The orientation that XMP names, int32 []; -1 without one."""
    pattern = r'(?s).*?tiff:Orientation(?:="|>)([0-9]).*'
    digit = tf.strings.regex_replace(xmp, pattern, r"\1")
    found = tf.strings.regex_full_match(xmp, pattern)
    return tf.strings.to_number(tf.where(found, digit, "-1"), tf.int32)


def _known(tag: tf.Tensor) -> tf.Tensor:
    """The tag if it is an orientation, else 1."""
    return tf.where((tag >= 1) & (tag <= 8), tag, 1)


def _bytes(content: tf.Tensor) -> tf.Tensor:
    """The bytes, uint8, with zeros after the end."""
    return tf.io.decode_raw(tf.strings.join([content, b"\0" * _MARGIN]), tf.uint8)


def _number(data: tf.Tensor, at: tf.Tensor, size: int, little: bool = False) -> tf.Tensor:
    """The number of `size` bytes at each of some places, int32 of their shape; the first byte is the highest."""
    last = tf.shape(data)[0] - 1
    parts = [tf.cast(tf.gather(data, tf.minimum(at + offset, last)), tf.int32) for offset in range(size)]
    return tf.add_n([part * 256**power for power, part in enumerate(parts if little else parts[::-1])])


def _begins(content: tf.Tensor, at: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Whether the bytes at a place are these."""
    return tf.strings.substr(content, tf.minimum(at, tf.strings.length(content)), len(mark)) == mark


def _holds(data: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Whether these bytes stand anywhere in uint8 `[n]`."""
    count = tf.maximum(tf.shape(data)[0] - len(mark) + 1, 0)
    same = [data[offset : offset + count] == byte for offset, byte in enumerate(mark)]
    return tf.reduce_any(tf.reduce_all(tf.stack(same), axis=0))
