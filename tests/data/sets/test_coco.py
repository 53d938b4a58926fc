import shutil

import numpy as np
import pytest

from tests.data.sets.panoptic_files import IDS, write_photos, write_truth
from tfpanoptic.data import DATASETS
from tfpanoptic.data.coco_panoptic import coco_categories
from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.data.sets.coco import CocoConfig, load_coco
from tfpanoptic.errors import InputError, SettingError

PHOTOS = ["000000000009.jpg", "000000000025.jpg"]
# What panoptic_{train,val}2017.json lists under categories.
CATEGORIES = [{**entry, "supercategory": "any"} for entry in coco_categories().to_coco()]
PERSON, GRASS, CAR = 1, 193, 3


def make_coco(root, splits=("train", "val")):
    """As the archives of the download unpack."""
    for split in splits:
        write_photos(root / f"{split}2017", PHOTOS)
        folder = root / "annotations"
        name = f"panoptic_{split}2017"
        write_truth(folder / f"{name}.json", folder / name, PHOTOS, CATEGORIES, (PERSON, GRASS, CAR))
    return root


@pytest.fixture
def root(tmp_path):
    return make_coco(tmp_path / "coco")


def load(root, split="val"):
    return load_coco(CocoConfig(root=str(root)), split)


def check(dataset):
    assert [r.file_name for r in dataset.records] == PHOTOS
    record = dataset.records[0]
    names = [dataset.categories[c].name for c in record.segments["category"]]
    assert names == ["person", "grass-merged", "car"]
    truth = read_segment_map(record)
    np.testing.assert_array_equal(truth.ids, IDS)
    assert read_record_image(record).shape == (4, 6, 3)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_download_is_read_as_it_is(root, split):
    dataset = load(root, split)
    assert (dataset.name, dataset.split) == ("coco", split)
    check(dataset)


def test_photos_may_lie_in_images(root):
    (root / "images").mkdir()
    (root / "val2017").rename(root / "images/val2017")
    check(load(root))


@pytest.mark.parametrize("place", ["annotations/panoptic_val2017/panoptic_val2017", "panoptic_val2017"])
def test_pngs_may_lie_one_level_deeper_or_beside_the_annotations(root, tmp_path, place):
    (root / "annotations/panoptic_val2017").rename(tmp_path / "pngs")
    (root / place).parent.mkdir(exist_ok=True)
    (tmp_path / "pngs").rename(root / place)
    check(load(root))


@pytest.mark.parametrize("empty_folder", [False, True])
def test_pngs_that_are_still_packed_are_told(root, empty_folder):
    shutil.rmtree(root / "annotations/panoptic_val2017")
    if empty_folder:
        (root / "annotations/panoptic_val2017").mkdir()
    (root / "annotations/panoptic_val2017.zip").write_bytes(b"PK")
    with pytest.raises(
        SettingError, match=r"annotations/panoptic_val2017\.zip: still packed; expected panoptic_val2017/"
    ):
        load(root)


def test_starting_opens_no_photo_and_no_png(root):
    for path in (*root.glob("*2017/*.jpg"), *root.glob("annotations/*/*.png")):
        path.write_bytes(b"")
    assert len(load(root)) == 2


def test_instances_annotations_alone_are_told(root):
    (root / "annotations/panoptic_val2017.json").rename(root / "annotations/instances_val2017.json")
    with pytest.raises(SettingError, match=r"no annotations/panoptic_val2017\.json .*found annotations, train2017"):
        load(root)


@pytest.mark.parametrize(("folder", "what"), [("val2017", "photos"), ("annotations/panoptic_val2017", "PNGs")])
def test_files_that_are_missing_are_counted(root, folder, what):
    for path in (root / folder).iterdir():
        path.unlink()
    if what == "photos":
        with pytest.raises(InputError, match=f"{folder}: lacks 2 of 2 photos .* the first is 000000000009.jpg"):
            load(root)
    else:
        (root / folder / "other.png").touch()
        with pytest.raises(InputError, match=f"{folder}: lacks 2 of 2 PNGs .* the first is 000000000009.png"):
            load(root)


def test_a_category_of_another_set_is_named(root):
    json = root / "annotations/panoptic_val2017.json"
    json.write_text(json.read_text().replace('"grass-merged"', '"lawn"'))
    with pytest.raises(InputError, match=f"{json}: not coco's: category lawn \\(id 193\\)"):
        load(root)


def test_a_thing_that_the_file_calls_stuff_is_named(root):
    json = root / "annotations/panoptic_val2017.json"
    json.write_text(
        json.read_text().replace('"name": "car", "supercategory": "any", "isthing": 1', '"name": "car", "isthing": 0')
    )
    with pytest.raises(InputError, match="category car is stuff; expected a thing"):
        load(root)


def test_the_categories_need_no_file():
    kind = DATASETS["coco"]
    table = kind.categories(kind.config(root="none"))
    assert (len(table), len(table.thing_ids)) == (133, 80)
