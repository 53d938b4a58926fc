import io

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.photo.load_image import load_image, of_each

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
        (Image.new("RGB", (0, 4)), "image: has no pixels, 4 x 0"),
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


@pytest.mark.parametrize("kind", ["path", "bytes", "picture", "array"])
def test_a_size_that_is_not_wanted_is_refused_before_pixels_are_decoded(kind, tmp_path):
    """The file is cut short behind its header, and turned by a quarter."""
    path, exif = tmp_path / "photo.png", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((50, 70, 3), np.uint8)).save(path, exif=exif)
    path.write_bytes(path.read_bytes()[:120])
    source = {
        "path": path,
        "bytes": path.read_bytes(),
        "picture": Image.open(path),
        "array": np.zeros((70, 50, 3), np.uint8),
    }[kind]

    def refuse(origin, size):
        raise InputError(f"{origin} has {size}")

    with pytest.raises(InputError) as refused:
        load_image(source, check=refuse)
    assert str(refused.value) == f"{path if kind == 'path' else 'image'} has (70, 50)"


def test_the_image_of_a_list_that_is_wrong_is_named_by_its_number():
    assert [len(image) for image in of_each(load_image, [PIXELS, PIXELS[:2]])] == [5, 2]
    with pytest.raises(InputError, match=r"^images\[1\]: none.jpg: no such file"):
        of_each(load_image, [PIXELS, "none.jpg", b""])
