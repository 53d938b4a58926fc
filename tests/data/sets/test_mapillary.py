import json
import shutil

import numpy as np
import pytest

from tests.data.sets.panoptic_files import IDS, write_photos, write_truth
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.data.sets.mapillary import MapillaryConfig, load_mapillary, mapillary_categories
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.settings.config import validate

PHOTOS = ["-0C1J9CvgFP4BTVLXNeNZA.jpg", "_1Gn_xkw7sa_i9GU4mkxxQ.jpg"]
# Names as panoptic_2018.json has them, and as panoptic_2020.json.
V12 = [
    {"id": 1, "name": "Bird", "supercategory": "animal--bird", "isthing": 1, "color": [165, 42, 42]},
    {"id": 28, "name": "Sky", "supercategory": "nature--sky", "isthing": 0, "color": [70, 130, 180]},
    {"id": 56, "name": "Car", "supercategory": "object--vehicle--car", "isthing": 1, "color": [0, 0, 142]},
]
V20 = [
    {"id": 1, "name": "animal--bird", "supercategory": "animal", "isthing": 1, "color": [165, 42, 42]},
    {"id": 62, "name": "nature--sky", "supercategory": "nature", "isthing": 0, "color": [70, 130, 180]},
    {
        "id": 116,
        "name": "object--vehicle--vehicle-group",
        "supercategory": "object",
        "isthing": 0,
        "color": [0, 0, 142],
    },
]


def make_version(root, version, place, categories):
    for folder in ("training", "validation"):
        if not (root / folder / "images").is_dir():
            write_photos(root / folder / "images", PHOTOS)
        panoptic = root / folder / place
        year = {1.2: 2018, 2.0: 2020}[version]
        ids = [category["id"] for category in categories]
        write_truth(panoptic / f"panoptic_{year}.json", panoptic, PHOTOS, categories, ids)
    return root


def load(root, version=1.2, split="val"):
    return load_mapillary(MapillaryConfig(root=str(root), version=version), split)


@pytest.mark.parametrize("place", ["panoptic", "v1.2/panoptic"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_version_1_2_is_read_in_both_layouts(tmp_path, place, split):
    dataset = load(make_version(tmp_path, 1.2, place, V12), split=split)
    assert [r.file_name for r in dataset.records] == PHOTOS
    record = dataset.records[0]
    found = [dataset.categories[c] for c in record.segments["category"]]
    assert [(c.name, c.isthing, c.source_id) for c in found] == [
        ("Bird", True, 1),
        ("Sky", False, 28),
        ("Car", True, 56),
    ]
    np.testing.assert_array_equal(read_segment_map(record).ids, IDS)


def test_version_2_0_is_read_and_groups_are_void(tmp_path):
    dataset = load(make_version(tmp_path, 2.0, "v2.0/panoptic", V20), version=2.0)
    record = dataset.records[0]
    found = [dataset.categories[c] for c in record.segments["category"]]
    assert [(c.name, c.isthing, c.source_id) for c in found] == [("Bird", True, 1), ("Sky", False, 62)]
    np.testing.assert_array_equal(read_segment_map(record).ids, np.where(IDS == 6, 0, IDS))


def test_one_download_holds_both_versions(tmp_path):
    make_version(tmp_path, 1.2, "v1.2/panoptic", V12)
    make_version(tmp_path, 2.0, "v2.0/panoptic", V20)
    assert (len(load(tmp_path, 1.2).categories), len(load(tmp_path, 2.0).categories)) == (65, 116)


@pytest.mark.parametrize(("version", "things", "stuff"), [(1.2, 37, 28), (2.0, 70, 46)])
def test_the_tables_have_the_official_counts(version, things, stuff):
    table = mapillary_categories(MapillaryConfig(root="none", version=version))
    assert (len(table.thing_ids), len(table) - len(table.thing_ids)) == (things, stuff)


def test_the_things_of_version_1_2_are_those_of_the_benchmark():
    table = mapillary_categories(MapillaryConfig(root="none"))
    # Places in the list of labels, from a list other than the table's source.
    things = [0, 1, 8, *range(19, 24), *range(32, 43), *range(44, 58), *range(59, 63)]
    assert [c.source_id - 1 for c in table if c.isthing] == things


def test_the_list_of_labels_of_the_download_comes_first(tmp_path):
    make_version(tmp_path, 1.2, "panoptic", V12)
    labels = [
        {"name": "animal--bird", "readable": "A bird", "instances": True, "evaluate": True, "color": [1, 2, 3]},
        {"name": "nature--sky", "readable": "Sky", "instances": False, "evaluate": False, "color": [4, 5, 6]},
        {"name": "object--vehicle--car", "readable": "Car", "instances": True, "evaluate": True, "color": [7, 8, 9]},
    ]
    (tmp_path / "config_v1.2.json").write_text(json.dumps({"labels": labels, "version": "1.2"}))
    table = mapillary_categories(MapillaryConfig(root=str(tmp_path)))
    assert [(c.name, c.isthing, c.color, c.source_id) for c in table] == [
        ("A bird", True, (1, 2, 3), 1),
        ("Car", True, (7, 8, 9), 3),
    ]
    with pytest.raises(InputError, match="category Bird"):  # no label has this name
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"color": [1, 2]}, r"labels\[0\]: color must be"), ({"instances": "yes"}, "instances must be 0 or 1")],
)
def test_a_wrong_list_of_labels_is_named(tmp_path, change, message):
    label = {"name": "a", "readable": "A", "instances": True, "evaluate": True, "color": [1, 2, 3], **change}
    (tmp_path / "config_v1.2.json").write_text(json.dumps({"labels": [label]}))
    with pytest.raises(InputError, match=rf"config_v1\.2\.json: .*{message}"):
        mapillary_categories(MapillaryConfig(root=str(tmp_path)))


def test_a_version_that_is_not_there_is_told(tmp_path):
    make_version(tmp_path, 1.2, "v1.2/panoptic", V12)
    with pytest.raises(SettingError, match=r"no validation/v2\.0/panoptic/panoptic_2020\.json; "):
        load(tmp_path, 2.0)


def test_an_unknown_version_is_refused():
    with pytest.raises(InputError, match=r"version: .*expected 1\.2 or 2\.0"):
        validate(MapillaryConfig, {"root": "x", "version": 1.1}, "c.yaml", "data")


def test_photos_of_another_split_are_missed(tmp_path):
    make_version(tmp_path, 1.2, "panoptic", V12)
    shutil.rmtree(tmp_path / "validation/images")
    write_photos(tmp_path / "validation/images", ["another.jpg"])
    with pytest.raises(InputError, match="validation/images: lacks 2 of 2 photos"):
        load(tmp_path)
