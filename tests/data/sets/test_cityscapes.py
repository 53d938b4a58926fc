import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.sets.cityscapes_files import KEYS, SEGMENTS, make_cityscapes, make_panoptic, values_of
from tfpanoptic.data import DATASETS
from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.data.examples import file_reader
from tfpanoptic.data.sets import cityscapes
from tfpanoptic.data.sets.cityscapes import CityscapesConfig, load_cityscapes
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.segment_map import to_panoptic_map


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("TFPANOPTIC_CACHE", str(folder))
    return folder


@pytest.fixture
def root(tmp_path):
    return make_cityscapes(tmp_path / "cityscapes")


def load(root, split="train", truth=None):
    return load_cityscapes(CityscapesConfig(root=str(root), truth=truth), split)


def rows(dataset, record):
    names = {c.id: c.name for c in dataset.categories}
    return [(int(s["id"]), names[s["category"]], bool(s["iscrowd"]), s["area"]) for s in record.segments]


def test_instance_ids_give_the_segments_of_the_scene(root):
    dataset = load(root)
    assert sorted(rows(dataset, dataset.records[0])) == sorted(SEGMENTS)
    assert [r.image_id for r in dataset.records] == list(KEYS["train"])
    assert [(r.height, r.width, r.extra) for r in dataset.records] == [
        (8, 16, {"city": "aachen"}),
        (8, 16, {"city": "bochum"}),
    ]
    assert [c.source_id for c in dataset.categories][:2] == [7, 8]


@pytest.mark.parametrize("use_train_id", [False, True])
@pytest.mark.parametrize("split", ["train", "val"])
def test_panoptic_files_give_the_truth_of_the_instance_ids(root, split, use_train_id):
    make_panoptic(root, split, use_train_id)
    one, other = load(root, split, "instance_ids"), load(root, split, "panoptic")
    assert other.categories == one.categories
    assert len(one) == len(KEYS[split])
    for a, b in zip(one.records, other.records, strict=True):
        assert (a.file_name, a.image_id, a.height, a.width, a.extra) == (
            b.file_name,
            b.image_id,
            b.height,
            b.width,
            b.extra,
        )
        assert a.image_path == b.image_path
        first, second = read_segment_map(a), read_segment_map(b)
        np.testing.assert_array_equal(first.ids, second.ids)
        np.testing.assert_array_equal(np.sort(first.segments, order="id"), np.sort(second.segments, order="id"))


def test_ignored_labels_are_void_in_the_map(root):
    values = values_of(KEYS["train"][0])
    expected = np.where(np.isin(values, [0, 1, 29000]), 0, values)
    np.testing.assert_array_equal(read_segment_map(load(root).records[0]).ids, expected)


def test_tensorflow_reads_the_same_map(root):
    dataset = load(root)
    reader = file_reader(dataset)
    for number, record in enumerate(dataset.records):
        image, panoptic = reader(np.int64(number))
        np.testing.assert_array_equal(image, read_record_image(record))
        np.testing.assert_array_equal(panoptic, to_panoptic_map(read_segment_map(record), dataset.categories)[0])


def test_panoptic_files_are_taken_where_they_were_made(root, monkeypatch):
    make_panoptic(root, "val")
    monkeypatch.setattr(cityscapes, "scan_maps", None)
    assert load(root, "val").records[0].panoptic_path.name == "lindau_000000_000019_gtFine_panoptic.png"
    (root / "gtFine/cityscapes_panoptic_val.json").unlink()
    with pytest.raises(TypeError):  # the scan
        load(root, "val")


def test_the_second_start_opens_no_file(root, monkeypatch):
    first = load(root)
    monkeypatch.setattr(cityscapes, "read_grey_values", None)
    for a, b in zip(first.records, load(root).records, strict=True):
        np.testing.assert_array_equal(a.segments, b.segments)
        np.testing.assert_array_equal(a.id_map, b.id_map)


def test_a_city_may_be_a_link(root, tmp_path):
    for part in ("leftImg8bit", "gtFine"):
        (root / part / "train" / "aachen").rename(tmp_path / part)
        (root / part / "train" / "aachen").symlink_to(tmp_path / part)
    assert [r.image_id for r in load(root).records] == list(KEYS["train"])


def test_files_of_other_systems_beside_the_photos_are_no_photos(root):
    (root / "leftImg8bit/train/aachen/._aachen_000000_000019_leftImg8bit.png").write_bytes(b"macOS")
    assert len(load(root)) == 2


def test_a_missing_root_is_told_with_the_setting(tmp_path):
    with pytest.raises(SettingError, match=r"^data\.root: .*none: no such .* expected a folder with leftImg8bit/"):
        load(tmp_path / "none")


def test_the_root_one_folder_too_far_down_is_told(root):
    with pytest.raises(SettingError, match=rf"leftImg8bit/train; .*found train, val; {root} has it: give that"):
        load(root / "leftImg8bit")


@pytest.mark.parametrize("part", ["leftImg8bit", "gtFine"])
def test_what_was_unzipped_one_level_too_deep_is_told(root, part):
    (root / part).rename(root / "inner")
    (root / part).mkdir()
    (root / "inner").rename(root / part / part)
    with pytest.raises(SettingError, match=rf"no {part}/train; .*one level too deep, at {root}/{part}/{part}/train"):
        load(root)


def test_coarse_truth_alone_is_told(root):
    (root / "gtFine").rename(root / "gtCoarse")
    with pytest.raises(SettingError, match="no gtFine/train; .*found gtCoarse, leftImg8bit; gtCoarse has no"):
        load(root)


def test_panoptic_files_that_were_not_made_are_told(root):
    with pytest.raises(SettingError, match=r"no gtFine/cityscapes_panoptic_val\.json; .*createPanopticImgs"):
        load(root, "val", "panoptic")


def test_a_split_without_photos_is_told(root):
    shutil.rmtree(root / "leftImg8bit/val/lindau")
    with pytest.raises(InputError, match=r"leftImg8bit/val: no CITY/\*_leftImg8bit.png .* found nothing"):
        load(root, "val")


def test_photos_without_truth_and_truth_without_photos_are_counted(root):
    (root / "gtFine/train/aachen/aachen_000000_000019_gtFine_instanceIds.png").unlink()
    with pytest.raises(InputError, match="gtFine/train: lacks 1 of 2 truths .* the first is aachen_000000_000019$"):
        load(root)
    shutil.rmtree(root / "leftImg8bit/train/aachen")
    assert len(load(root)) == 1
    make_panoptic(root, "train")
    make_cityscapes(root.parent / "whole")
    shutil.copytree(root.parent / "whole/leftImg8bit/train/aachen", root / "leftImg8bit/train/aachen")
    with pytest.raises(InputError, match="cityscapes_panoptic_train.json: lacks 1 of 2 photos"):
        load(root)


def test_a_value_of_no_label_names_the_file(root):
    path = root / "gtFine/val/lindau/lindau_000000_000019_gtFine_instanceIds.png"
    Image.fromarray(np.full((8, 16), 99, np.uint16)).save(path)
    with pytest.raises(InputError, match=f"{path}: value 99 is no Cityscapes label"):
        load(root, "val")


def test_another_split_is_refused(root):
    with pytest.raises(InputError, match="cityscapes has the splits train and val, not 'test'"):
        load(root, "test")


def test_the_categories_need_no_file():
    kind = DATASETS["cityscapes"]
    table = kind.categories(kind.config(root="none"))
    assert (len(table), len(table.thing_ids)) == (19, 8)
