import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.photo.pixels import read_image, upright_size


def test_colour_pixels_come_back_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)


def test_a_grey_image_gets_three_equal_channels(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), np.repeat(grey[..., None], 3, -1))


def test_transparency_is_dropped(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 256, (3, 4, 4)).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), rgba[..., :3])


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path):
    Image.fromarray(np.array([[0, 255, 256, 65535]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], [0, 0, 1, 255])


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_a_high_byte_are_refused_unless_the_range_of_the_file_counts(tmp_path, dtype):
    Image.fromarray(np.array([[-2, 0, 2]], dtype)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=rf"a\.tiff: expected 8 or 16 bits a channel, found {dtype.__name__}; .*range"):
        read_image(tmp_path / "a.tiff")
    # 127.5 is rounded up.
    assert read_image(tmp_path / "a.tiff", "file_range")[0, :, 0].tolist() == [0, 128, 255]


def test_the_exif_orientation_is_applied(tmp_path):
    # Orientation 6: the file's first row is the upright image's right column.
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[0] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    upright = read_image(tmp_path / "a.png")
    assert upright.shape == (16, 8, 3)
    assert (upright[:, -1] == 255).all() and (upright[:, :-1] == 0).all()


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.png: no such file"):
        read_image(tmp_path / "nowhere.png")


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(InputError, match=r"a\.png: not an image"):
        read_image(tmp_path / "a.png")


def test_an_image_cut_short_is_named(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:6000])
    with pytest.raises(InputError, match=r"a\.png: damaged or cut short"):
        read_image(tmp_path / "a.png")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(InputError, match="cannot be read, it is a folder"):
        read_image(tmp_path)


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=r"a\.jpg: not an image, it is empty$"):
        read_image(tmp_path / "a.jpg")


def test_an_image_too_large_for_pillow_is_named_with_its_limit(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(InputError, match=r"a\.png: has more than .* megapixels, which Pillow refuses") as refused:
        read_image(tmp_path / "a.png")
    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "png", "tif", "webp"])
def test_bytes_that_went_wrong_give_an_image_or_one_line(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path)
    content, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(content[: random.integers(1, len(content) + 1)])
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            assert read_image(path).dtype == np.uint8
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@pytest.mark.parametrize("orientation, size", [(1, (8, 16)), (3, (8, 16)), (5, (16, 8)), (6, (16, 8)), (9, (8, 16))])
def test_the_header_tells_the_size_of_the_upright_image(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        assert upright_size(image) == size == read_image(tmp_path / "a.jpg").shape[:2]
