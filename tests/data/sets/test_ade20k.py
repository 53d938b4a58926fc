import json
import shutil

import numpy as np
import pytest

from tests.data.sets.panoptic_files import IDS, write_photos, write_truth
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.data.sets.ade20k import Ade20kConfig, ade20k_categories, load_ade20k
from tfpanoptic.doctor.check import check
from tfpanoptic.doctor.sources import Source
from tfpanoptic.errors import InputError, SettingError

PHOTOS = {"train": ["ADE_train_00000001.jpg"], "val": ["ADE_val_00000001.jpg", "ADE_val_00000002.jpg"]}
# As the preparation writes them: ids from 0, and "window " with a blank behind.
CATEGORIES = [
    {"id": 0, "name": "wall", "isthing": 0, "color": [120, 120, 120]},
    {"id": 8, "name": "window ", "isthing": 1, "color": [230, 230, 230]},
    {"id": 149, "name": "flag", "isthing": 1, "color": [92, 0, 255]},
]
# Zero-based ids of the things, from a list of the benchmark other than the table's source.
THINGS = {
    *(7, 8, 10, 12, 14, 15, 18, 19, 20, 22, 23, 24, 27, 30, 31, 32, 33, *range(35, 40), *range(41, 46), 47, 49, 50),
    *(53, *range(55, 59), 62, *range(64, 68), *range(69, 77), 78, *range(80, 84), *range(85, 91), 92, 93, 95, 97, 98),
    *(*range(102, 105), 107, 108, *range(110, 113), 115, 116, *range(118, 122), *range(123, 128), 129, 130),
    *(*range(132, 140), *range(142, 145), *range(146, 150)),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """ADEChallengeData2016 after the preparation."""
    monkeypatch.setenv("TFPANOPTIC_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "ADEChallengeData2016"
    for split, folder in (("train", "training"), ("val", "validation")):
        write_photos(root / "images" / folder, PHOTOS[split])
        name = f"ade20k_panoptic_{split}"
        write_truth(root / f"{name}.json", root / name, PHOTOS[split], CATEGORIES, (8, 0, 149))
    (root / "annotations").mkdir()
    (root / "annotations_instance").mkdir()
    return root


def load(root, split="val"):
    return load_ade20k(Ade20kConfig(root=str(root)), split)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_prepared_files_are_read(root, split):
    dataset = load(root, split)
    assert [r.file_name for r in dataset.records] == PHOTOS[split]
    record = dataset.records[0]
    assert [dataset.categories[c].name for c in record.segments["category"]] == ["window", "wall", "flag"]
    assert [dataset.categories[c].source_id for c in record.segments["category"]] == [8, 0, 149]
    np.testing.assert_array_equal(read_segment_map(record).ids, IDS)


def test_stuff_that_things_cover_wholly_is_left_out(root, capsys):
    path = root / "ade20k_panoptic_val.json"
    content = json.loads(path.read_text())
    # Listed before the things were painted: the wall's area is still 12 of which 10 pixels are left.
    content["annotations"][1]["segments_info"][1]["area"] = 12
    covered = {"id": 77, "category_id": 0, "area": 3, "iscrowd": 0}
    content["annotations"][1]["segments_info"].append(covered)
    path.write_text(json.dumps(content))
    dataset = load(root)
    assert [len(record.segments) for record in dataset.records] == [3, 3]
    assert dataset.records[1].segments["area"].tolist() == [6, 12, 4]
    np.testing.assert_array_equal(read_segment_map(dataset.records[1]).ids, IDS)
    assert f"{path}: 1 segments of 1 images have no pixel" in capsys.readouterr().err


def test_areas_as_the_preparation_writes_them_are_no_finding(root):
    path = root / "ade20k_panoptic_val.json"
    content = json.loads(path.read_text())
    content["annotations"][1]["segments_info"][1]["area"] += 1  # a thing was painted over a pixel
    path.write_text(json.dumps(content))
    findings = check({"val": Source("ade20k val", lambda: load(root))})["findings"]
    assert not [finding["code"] for finding in findings if finding["level"] == "error"]


def test_the_table_has_150_categories_with_ids_from_0():
    table = ade20k_categories(Ade20kConfig(root="none"))
    assert [c.source_id for c in table] == list(range(150))
    assert {c.source_id for c in table if c.isthing} == THINGS
    assert len(THINGS) == 100


@pytest.mark.parametrize("part", ["ade20k_panoptic_val.json", "ade20k_panoptic_val"])
def test_without_the_preparation_it_is_told_what_makes_the_files(root, part):
    path = root / part
    path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(SettingError, match=rf"no {part}; .*prepare_ade20k_pan_seg\.py of Mask2Former makes"):
        load(root)


def test_the_folder_above_is_told(root):
    with pytest.raises(SettingError, match=f"no images/validation; .*one level too deep, at {root}/images/validation"):
        load(root.parent)


def test_a_missing_photo_is_named(root):
    (root / "images/validation/ADE_val_00000002.jpg").unlink()
    with pytest.raises(InputError, match="images/validation: lacks 1 of 2 photos .* first is ADE_val_00000002.jpg"):
        load(root)
