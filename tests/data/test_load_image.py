import io

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.load_image import load_image
from tfpanoptic.errors import InputError

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_path_bytes_array_and_picture_have_the_same_pixels(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(path)
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), Image.open(path), PIXELS):
        np.testing.assert_array_equal(load_image(source), PIXELS)


@pytest.mark.parametrize("kind", ["path", "bytes", "picture"])
def test_every_kind_of_file_is_turned_upright(kind, tmp_path):
    path = tmp_path / "photo.png"
    turned = Image.fromarray(PIXELS)
    exif = turned.getexif()
    exif[0x0112] = 3  # by half a turn
    turned.save(path, exif=exif)
    source = {"path": path, "bytes": path.read_bytes(), "picture": Image.open(path)}[kind]
    np.testing.assert_array_equal(load_image(source), PIXELS[::-1, ::-1])


@pytest.mark.parametrize(
    "source, words",
    [
        ("none.jpg", "none.jpg: no such file"),
        (b"no image", "image of 8 bytes: not an image that can be read"),
        (np.zeros((4, 4, 3)), r"image: expected uint8 \[H, W, 3\].*found float64 \[4, 4, 3\]"),
        (np.zeros((4, 4), np.uint8), r"image: expected uint8 \[H, W, 3\].*found uint8 \[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"found uint8 \[4, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), r"found uint8 \[0, 4, 3\]"),
        (None, "expected a path, .* found NoneType$"),
        (io.BytesIO(b"x"), "expected a path, .* found BytesIO$"),
        ((number for number in (1, 2)), "expected a path, .* found generator$"),
        (np.array(["photo.png"]), "expected a path, .* found ndarray$"),
    ],
)
def test_what_is_no_image_is_refused(source, words):
    with pytest.raises(InputError, match=words) as refused:
        load_image(source)
    assert "object at 0x" not in str(refused.value)
