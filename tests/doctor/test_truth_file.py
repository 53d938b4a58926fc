"""What a truth's file shows, beyond the breaks of `test_check.py`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.doctor.small_data import SCENE, Data
from tfpanoptic.categories import Category
from tfpanoptic.data.dataset import ImageRecord
from tfpanoptic.data.storage import GREY_PNG, Storage
from tfpanoptic.doctor.truth_file import Case, check_truth, png_kind
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import segment_rows

CATEGORIES = (Category(1, "sky", False, (0, 0, 9), 1), Category(2, "car", True, (9, 0, 0), 2))
# Sky above, two cars that are one segment, and an id that becomes void.
VALUES = np.array([[1] * 6] * 3 + [[21, 21, 22, 22, 0, 90]] * 4, np.uint16)


@pytest.fixture
def case(tmp_path):
    """Grey values whose ids are mapped: 21 and 22 to one segment, 90 to void."""
    Image.fromarray(VALUES).save(tmp_path / "a_ids.png")
    segments = segment_rows([1, 21], [1, 2], areas=[18, 16])
    id_map = np.array([[1, 1], [21, 21], [22, 21], [90, 0]], np.int32)
    record = ImageRecord(
        Path("none"),
        tmp_path / "a_ids.png",
        "a.png",
        1,
        7,
        6,
        segments,
        id_map=id_map,
        storage=Storage(GREY_PNG),
    )
    return Case(record, "a_ids.png", [None, None])


def findings(case):
    """Codes and examples of a truth, and its void pixels."""
    found = []
    void = check_truth(case, CATEGORIES, None, lambda code, example: found.append((code, example)))
    return found, void


def test_ids_that_are_joined_or_dropped_are_sound(case):
    assert findings(case) == ([], 8)  # four pixels of 0, four of 90


def test_areas_count_after_joining(case):
    case.record.segments["area"][1] = 8
    assert findings(case)[0] == [("area-differs", "a_ids.png: segment 21: area 8, 16 pixels")]


def test_an_id_that_nobody_maps_is_unlisted(case):
    id_map = case.record.id_map[:3]
    case = case._replace(record=replace(case.record, id_map=id_map))
    assert findings(case)[0] == [("id-unlisted", "a_ids.png: id 90, 4 pixels")]


def test_a_map_of_another_size_or_kind_is_told(case):
    path = case.record.panoptic_path
    Image.fromarray(VALUES[:5]).save(path)
    told = "5 x 6 (height x width), the annotation says 7 x 6"
    assert findings(case) == ([("png-size", f"a_ids.png: {told}")], None)
    Image.fromarray(np.zeros((7, 6, 3), np.uint8)).save(path)
    [(code, example)], void = findings(case)
    assert code == "png-unreadable" and "expected a grey PNG" in example and void is None


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "no PNG but JPEG"), ("a.gif", "no PNG but GIF"), ("a.tif", "no PNG but TIFF")]
)
def test_a_file_that_is_no_png_is_called_by_its_format(name, kind, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert png_kind(tmp_path / name) == kind


def test_an_empty_png_is_called_empty(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match="it is empty"):
        png_kind(tmp_path / "a.png")


def test_truth_resized_with_interpolation_is_one_finding(tmp_path):
    data = Data(tmp_path)
    rgb = np.array(Image.open(data.panoptic / "a.png").resize((80, 64), Image.Resampling.NEAREST))
    small = Image.fromarray(rgb).resize((37, 31), Image.Resampling.LANCZOS)
    small.save(data.panoptic / "a.png")
    data.photo("a.png", 10, (31, 37))
    data.content["images"][0].update(height=31, width=37)
    assert data.codes() == {"png-blurred": 1}


def test_some_unknown_ids_are_told_one_by_one(tmp_path):
    data = Data(tmp_path)
    ids = SCENE.copy()
    ids[0, 2:6] = [9, 10, 11, 12]
    data.draw("a.png", ids)
    data.segments()[0]["area"] = 34
    assert data.codes() == {"id-unlisted": 4, "tiny": 4}
