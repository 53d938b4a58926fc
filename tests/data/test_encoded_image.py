import struct

import numpy as np
import pytest
import tensorflow as tf

from tests.data.image_kinds import KINDS, RGB, chunk, png, saved
from tfpanoptic.data.encoded_image import MOST_DECODED, decode_checked
from tfpanoptic.photo.load_image import load_image
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import MOST_PIXELS

READ = [kind for kind in KINDS if kind.split()[0] in ("jpeg", "mpo", "png") and kind not in ("jpeg cmyk", "jpeg 2000")]
_FUNCTIONS = {}


def decode(content, **policy):
    """The second image of a batch, by one graph for each policy."""
    key = tuple(policy.items())
    if key not in _FUNCTIONS:
        config = InputConfig(**policy)
        spec = [tf.TensorSpec([], tf.string)]
        _FUNCTIONS[key] = tf.function(
            lambda content: decode_checked(content, tf.constant(1), config), spec, autograph=False
        )
    return _FUNCTIONS[key](content).numpy()


@pytest.mark.parametrize("deep_grey", ["high_byte", "file_range"])
def test_pixels_are_those_that_pillow_decodes(deep_grey):
    for kind in READ:
        content = KINDS[kind]()
        ours = decode(content, deep_grey=deep_grey)
        np.testing.assert_array_equal(ours, load_image(content, deep_grey), err_msg=kind)


def exif_file(byte_order, *tags):
    """TIFF file of (tag, type, count, value) with values of two or four bytes."""
    entries = b"".join(
        struct.pack(f"{byte_order}HHI", tag, kind, count)
        + (struct.pack(f"{byte_order}HH", value, 0) if kind in (3, 8) else struct.pack(f"{byte_order}I", value))
        for tag, kind, count, value in tags
    )
    mark = b"II*\0" if byte_order == "<" else b"MM\0*"
    return mark + struct.pack(f"{byte_order}IH", 8, len(tags)) + entries + bytes(4)


def with_segments(content, *segments):
    """A JPEG with further segments (marker, bytes) after its first two bytes."""
    parts = [struct.pack(">BBH", 0xFF, marker, 2 + len(part)) + part for marker, part in segments]
    return content[:2] + b"".join(parts) + content[2:]


JPEG_BYTES = saved(RGB, "JPEG")
MAKER = (0x010F, 2, 4, 0x30303030)
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="8"/>\xc3\xa9</x:xmpmeta>'
TURNED = {
    **{
        f"{order} {value}": with_segments(
            JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file(order, MAKER, (0x112, 3, 1, value)))
        )
        for order in "<>"
        for value in (0, *range(1, 9), 9)
    },
    "long": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file("<", (0x112, 4, 1, 6)))),
    "two values": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file("<", (0x112, 3, 2, 6)))),
    "bytes": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file("<", (0x112, 1, 1, 6)))),
    "no tag": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file("<", MAKER))),
    "other mark": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0XX*\0" + exif_file("<", (0x112, 3, 1, 6))[4:])),
    "cut short": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file(">", MAKER, (0x112, 3, 1, 6))[:30])),
    "far offset": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")),
    "empty": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0")),
    "after others": with_segments(
        JPEG_BYTES, (0xE2, bytes(60_000)), (0xFE, b"Exif"), (0xE1, b"Exif\0\0" + exif_file(">", (0x112, 3, 1, 5)))
    ),
    "xmp": with_segments(JPEG_BYTES, (0xE1, XMP)),
    "xmp after exif without": with_segments(JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file("<", MAKER)), (0xE1, XMP)),
    "xmp after exif with": with_segments(
        JPEG_BYTES, (0xE1, b"Exif\0\0" + exif_file("<", (0x112, 3, 1, 1))), (0xE1, XMP)
    ),
    "png": png(8, 2, chunks=chunk(b"tEXt", b"Comment\0eXIf") + chunk(b"eXIf", exif_file(">", (0x112, 3, 1, 7)))),
    "png after the pixels": saved(RGB, "PNG")[:-12]
    + chunk(b"eXIf", exif_file("<", (0x112, 3, 1, 6)))
    + saved(RGB, "PNG")[-12:],
}


@pytest.mark.parametrize("case", TURNED)
def test_an_image_is_turned_upright_as_pillow_reads_its_orientation(case):
    np.testing.assert_array_equal(decode(TURNED[case]), load_image(TURNED[case]))


def enlarged(content, height, width):
    """A PNG whose header tells another size."""
    header = struct.pack(">II", width, height) + content[24:29]
    return content[:8] + chunk(b"IHDR", header) + content[33:]


def jpeg_of(height, width):
    at = JPEG_BYTES.index(b"\xff\xc0")
    return JPEG_BYTES[: at + 5] + struct.pack(">HH", height, width) + JPEG_BYTES[at + 9 :]


PNG_BYTES = saved(RGB, "PNG")
TIFF_BYTES, WEBP_BYTES = saved(RGB, "TIFF"), saved(RGB, "WEBP")
REFUSED = {
    "empty": (b"", "empty, it has no bytes"),
    "text": (b"no image", "not a JPEG or PNG"),
    "tiff": (TIFF_BYTES, "not a JPEG or PNG"),
    "webp": (WEBP_BYTES, "not a JPEG or PNG"),
    "cmyk": (KINDS["jpeg cmyk"](), "a CMYK JPEG"),
    "jpeg, first bytes": (JPEG_BYTES[:3], "its header tells no size"),
    "jpeg, header": (JPEG_BYTES[:300], "damaged or cut short"),
    "jpeg, half": (JPEG_BYTES[: len(JPEG_BYTES) - 100], "damaged or cut short"),
    "png, first bytes": (PNG_BYTES[:8], "its header tells no size"),
    "png, half": (PNG_BYTES[: len(PNG_BYTES) // 2], "damaged or cut short"),
    "png, no rows": (enlarged(PNG_BYTES, 0, 5), "its header tells no size"),
    "png, enormous": (enlarged(PNG_BYTES, 100_000, 100_000), f"100000 x 100000 pixels are more than the {MOST_PIXELS}"),
    "png, enormous sides": (enlarged(PNG_BYTES, 2**31 - 1, 2**31 - 1), "pixels are more than"),
    "jpeg, enormous": (jpeg_of(65_500, 65_500), "65500 x 65500 pixels are more than"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_image_is_refused_by_its_number_and_the_reason(case):
    content, words = REFUSED[case]
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        decode(content)
    assert "image 1 of the batch, counted from 0: " in str(refused.value)
    assert words in str(refused.value)


def test_a_png_of_other_bytes_than_were_written_is_refused():
    changed = PNG_BYTES[:100] + bytes([PNG_BYTES[100] ^ 1]) + PNG_BYTES[101:]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"Invalid PNG data, size {len(PNG_BYTES)}"):
        decode(changed)


def test_a_policy_that_shrinks_images_takes_more_pixels():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG data"):  # by the decoder, for want of rows
        decode(enlarged(PNG_BYTES, 8000, 8000), max_long_side=100)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"more than the {MOST_DECODED}"):
        decode(enlarged(PNG_BYTES, 20_000, 20_000), max_long_side=100)
