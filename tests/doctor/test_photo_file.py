"""What a photo's file shows, beyond the breaks of `test_check.py`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.dataset import ImageRecord
from tfpanoptic.doctor import photo_file
from tfpanoptic.doctor.photo_file import check_photo
from tfpanoptic.doctor.truth_file import Case
from tfpanoptic.segment_map import SEGMENT


def findings(path, size, deep_grey="high_byte"):
    """Codes and examples of a photo."""
    record = ImageRecord(path, Path("none"), path.name, 1, *size, np.empty(0, SEGMENT))
    found = []
    check_photo(Case(record, "none", []), deep_grey, lambda code, example: found.append((code, example)))
    return found


@pytest.fixture
def jpeg(tmp_path):
    """A JPEG of 200 x 100 pixels of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (200, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=90)
    return tmp_path / "a.jpg"


def test_a_sound_photo_has_no_finding(jpeg):
    assert findings(jpeg, (200, 100)) == []


def test_a_jpeg_cut_short_that_was_closed_again_is_found_by_its_flat_end(jpeg):
    content = jpeg.read_bytes()
    jpeg.write_bytes(content[: len(content) // 2] + b"\xff\xd9")  # the marker of its end: Pillow is content
    [(code, example)] = findings(jpeg, (200, 100))
    assert code == "image-cut" and example.startswith("a.jpg: the last ") and example.endswith(" of 200 rows")


def test_a_jpeg_cut_short_is_unreadable(jpeg):
    jpeg.write_bytes(jpeg.read_bytes()[:-500])
    assert [code for code, _ in findings(jpeg, (200, 100))] == ["image-unreadable"]


@pytest.mark.parametrize("bar", [0, 255])
def test_a_black_or_white_bar_is_no_damage(bar, jpeg):
    pixels = np.array(Image.open(jpeg))
    pixels[100:] = bar
    Image.fromarray(pixels).save(jpeg)
    assert findings(jpeg, (200, 100)) == []


def test_noise_of_a_camera_is_no_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(120, 122, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert findings(tmp_path / "a.png", (20, 20)) == [("image-blank", f"a.png: {pixels[0, 0].tolist()}")]


def test_an_empty_file_is_called_so(tmp_path):
    (tmp_path / "a.png").touch()
    assert findings(tmp_path / "a.png", (20, 20)) == [("image-unreadable", "a.png: not an image, it is empty")]


def test_a_large_photo_is_told(jpeg, monkeypatch):
    monkeypatch.setattr(photo_file, "MOST_PIXELS", 19_999)
    assert findings(jpeg, (200, 100)) == [("image-large", "a.jpg: 200 x 100")]


def test_few_levels_are_none_where_the_configuration_stretches_them(tmp_path):
    values = np.arange(80, dtype=np.uint16).reshape(8, 10) * 51
    Image.fromarray(values).save(tmp_path / "a.png")
    told = ("image-by-pillow", f"a.png: PNG, {Image.open(tmp_path / 'a.png').mode}")
    assert findings(tmp_path / "a.png", (8, 10), "file_range") == [told]
    # High bytes of 0 to 4029 are 0 to 15.
    assert findings(tmp_path / "a.png", (8, 10)) == [told, ("image-few-levels", "a.png: values 0 to 4029, 16 levels")]


def test_floating_point_grey_is_refused_as_training_refuses_it(tmp_path):
    Image.fromarray(np.linspace(0, 1, 80, dtype=np.float32).reshape(8, 10)).save(tmp_path / "a.tif")
    assert [code for code, _ in findings(tmp_path / "a.tif", (8, 10))] == ["image-unreadable"]
    assert [code for code, _ in findings(tmp_path / "a.tif", (8, 10), "file_range")] == ["image-by-pillow"]
