"""Remapped categories, on a street of 4 x 6 pixels, drawn as its segment ids."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.data.conftest import CocoFolder
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.data.examples import file_reader
from tfpanoptic.data.label_space import label_space, matched, remapped, remapped_elsewhere
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.segment_map import to_panoptic_map
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.label_space import RemapConfig

# Categories get our ids in ascending order of the file's: sky 1, road 2, car 3, truck 4, walk 5.
CATEGORIES = [
    {"id": 31, "name": "truck", "isthing": 1, "color": [3, 0, 0]},
    {"id": 7, "name": "road", "isthing": 0, "color": [1, 0, 0]},
    {"id": 44, "name": "walk", "isthing": 0, "color": [4, 0, 0]},
    {"id": 2, "name": "sky", "isthing": 0, "color": [0, 9, 0]},
    {"id": 11, "name": "car", "isthing": 1, "color": [2, 0, 0]},
]
STREET = np.array(
    [
        [5, 5, 5, 5, 0, 0],
        [9, 9, 8, 8, 6, 6],
        [9, 9, 8, 8, 6, 6],
        [3, 3, 3, 4, 4, 4],
    ]
)
# (id, category, crowd, area): sky, two cars of which 8 is a crowd, a truck, road and walk; 0 is void.
SEGMENTS = [(5, 2, 0, 4), (9, 11, 0, 4), (8, 11, 1, 4), (6, 31, 0, 4), (3, 7, 0, 3), (4, 44, 0, 3)]


def remap_of(**settings) -> RemapConfig:
    return validate(RemapConfig, settings, "remap")


@pytest.fixture
def street(tmp_path):
    folder = CocoFolder(tmp_path)
    folder.content["categories"] = list(CATEGORIES)
    folder.add(STREET, SEGMENTS)
    return folder


def rows_of(dataset) -> list[tuple]:
    """(id, category's name, crowd, area) of each segment of the first image, as it is read."""
    rows, categories = read_segment_map(dataset.records[0]).segments, dataset.categories
    assert rows["area"].tolist() == dataset.records[0].segments["area"].tolist()
    return sorted((int(r["id"]), categories[int(r["category"])].name, bool(r["iscrowd"]), r["area"]) for r in rows)


def assert_in_graph_as_outside(dataset) -> None:
    read = file_reader(dataset)
    for number, record in enumerate(dataset.records):
        outside = to_panoptic_map(read_segment_map(record), dataset.categories)[0]
        np.testing.assert_array_equal(read(tf.constant(number, tf.int64))[1], outside)


def test_things_are_merged_and_crowds_stay_crowds(street):
    dataset = remapped(street.read(), remap_of(categories={"vehicle": ["truck", "car"]}))
    assert [(c.name, c.isthing, c.source_id, c.color[0]) for c in dataset.categories] == [
        ("sky", False, 2, 0),
        ("road", False, 7, 1),
        ("vehicle", True, 11, 2),
        ("walk", False, 44, 4),
    ]
    vehicles = [row for row in rows_of(dataset) if row[1] == "vehicle"]
    assert vehicles == [(6, "vehicle", False, 4), (8, "vehicle", True, 4), (9, "vehicle", False, 4)]
    np.testing.assert_array_equal(read_segment_map(dataset.records[0]).ids, STREET)
    assert_in_graph_as_outside(dataset)


def test_stuff_that_is_merged_is_one_segment(street):
    dataset = remapped(street.read(), remap_of(categories={"ground": {"of": ["walk", "road"], "color": [7, 7, 7]}}))
    assert dataset.categories.by_name()["ground"].color == (7, 7, 7)
    assert (3, "ground", False, 6) in rows_of(dataset) and len(rows_of(dataset)) == 5
    np.testing.assert_array_equal(read_segment_map(dataset.records[0]).ids, np.where(STREET == 4, 3, STREET))
    assert_in_graph_as_outside(dataset)


def test_things_that_become_stuff_are_one_segment_and_no_crowd(street):
    dataset = remapped(street.read(), remap_of(categories={"car": {"thing": False}}))
    assert dataset.categories.by_name()["car"].isthing is False
    assert (8, "car", False, 8) in rows_of(dataset) and len(rows_of(dataset)) == 5
    np.testing.assert_array_equal(read_segment_map(dataset.records[0]).ids, np.where(STREET == 9, 8, STREET))
    assert_in_graph_as_outside(dataset)


def test_each_segment_of_stuff_that_becomes_a_thing_is_an_instance(street):
    dataset = remapped(street.read(), remap_of(categories={"ground": {"of": ["road", "walk"], "thing": True}}))
    assert {(3, "ground", False, 3), (4, "ground", False, 3)} < set(rows_of(dataset))
    panoptic = to_panoptic_map(read_segment_map(dataset.records[0]), dataset.categories)[0]
    assert np.unique(panoptic[3]).tolist() == [20_001, 20_002]  # ground has id 2
    assert_in_graph_as_outside(dataset)


def test_what_is_dropped_is_void(street):
    dataset = remapped(street.read(), remap_of(drop=["sky", "car"]))
    assert [row[0] for row in rows_of(dataset)] == [3, 4, 6]
    expected = np.where(np.isin(STREET, [5, 8, 9]), 0, STREET)
    np.testing.assert_array_equal(read_segment_map(dataset.records[0]).ids, expected)
    assert_in_graph_as_outside(dataset)


def test_others_are_dropped_and_void_becomes_a_category(street):
    """All but the truck: 24 - 4 pixels."""
    dataset = remapped(street.read(), remap_of(categories={"truck": None}, others="drop", void="rest"))
    assert [(c.id, c.name, c.isthing, c.source_id) for c in dataset.categories] == [
        (1, "truck", True, 31),
        (2, "rest", False, 45),
    ]
    assert rows_of(dataset) == [(1, "rest", False, 20), (6, "truck", False, 4)]
    np.testing.assert_array_equal(read_segment_map(dataset.records[0]).ids, np.where(STREET == 6, 6, 1))
    assert_in_graph_as_outside(dataset)


def test_void_joins_a_category_that_is_there(street):
    dataset = remapped(street.read(), remap_of(void="sky"))
    assert [c.name for c in dataset.categories] == ["sky", "road", "car", "truck", "walk"]
    assert (5, "sky", False, 6) in rows_of(dataset)
    assert_in_graph_as_outside(dataset)


def test_an_image_without_void_has_no_segment_of_what_was_void(street):
    street.add(np.full((2, 3), 9), [(9, 11, 0, 6)])
    dataset = remapped(street.read(), remap_of(void="rest"))
    full = read_segment_map(dataset.records[1])
    assert full.segments["id"].tolist() == [9]
    assert_in_graph_as_outside(dataset)


def test_the_area_of_what_was_void_is_counted_whatever_the_annotation_says(street):
    street.content["annotations"][0]["segments_info"][0]["area"] = 22  # of sky, which has 4
    truth = read_segment_map(remapped(street.read(), remap_of(void="rest")).records[0])
    assert truth.segments["area"][-1] == 2


def test_a_remap_of_a_remap_is_both(street):
    once = remapped(street.read(), remap_of(categories={"vehicle": ["truck", "car"]}, drop=["sky"]))
    twice = remapped(once, remap_of(categories={"vehicle": {"thing": False}}, void="rest"))
    expected = np.select([STREET > 5, STREET == 5], [6, 1], STREET)
    np.testing.assert_array_equal(read_segment_map(twice.records[0]).ids, np.where(STREET == 0, 1, expected))
    assert (6, "vehicle", False, 12) in rows_of(twice)
    assert_in_graph_as_outside(twice)


def test_nothing_changes_without_a_change(street):
    dataset = street.read()
    same = remapped(dataset, RemapConfig())
    assert same.categories == dataset.categories and same.records[0].id_map is None
    np.testing.assert_array_equal(same.records[0].segments, dataset.records[0].segments)


@pytest.mark.parametrize("seed", range(5))
def test_every_pixel_has_the_category_that_the_remap_gives_it(seed, several):
    """Pixel by pixel; ground becomes floor, cells become stuff, void joins the floor."""
    dataset = several.read()
    space = remapped(dataset, remap_of(categories={"floor": ["ground"], "cell": {"thing": False}}, void="floor"))
    names = {0: "floor", 5: "floor", 6: "cell", 70000: "cell"}
    old, new = (read_segment_map(data.records[seed]) for data in (dataset, space))
    of_id = {int(r["id"]): space.categories[int(r["category"])].name for r in new.segments}
    assert len(of_id) == 2
    assert all(of_id[b] == names[a] for a, b in zip(old.ids.ravel().tolist(), new.ids.ravel().tolist(), strict=True))


def test_categories_that_only_validation_has_follow(street):
    dataset = street.read()
    val = replace(dataset, truth_only=("truck", "walk"))  # the last two of the table
    kept = remapped(val, remap_of(categories={"car": {"thing": False}}, void="rest"))
    assert [c.name for c in kept.categories] == ["sky", "road", "car", "rest", "truck", "walk"]
    assert kept.truth_only == ("truck", "walk") and len({c.source_id for c in kept.categories}) == 6
    dropped = remapped(val, remap_of(categories={"car": None}, others="drop"))
    assert [c.name for c in dropped.categories] == ["car"] and dropped.truth_only == ()


def test_a_merge_is_labelled_where_a_part_of_it_is(street):
    dataset = replace(street.read(), table_only=("truck", "sky"))
    merged = remapped(dataset, remap_of(categories={"vehicle": ["car", "truck"], "air": ["sky"]}, void="rest"))
    assert merged.table_only == ("air",)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"categories": {"vehicle": ["car", "trucks"]}}, r"categories\.vehicle: .* no category trucks; near it: truck"),
        ({"drop": ["zebra"]}, r"data\.remap\.drop: .* no category zebra; they have sky, road, car, truck, walk"),
        ({"categories": {"mix": ["car", "sky"]}}, r"mix: merges things \(car\) and stuff \(sky\); .* thing: true or"),
        ({"categories": {"car": ["truck"]}}, r"categories\.car: the data have a category car as well; name it in `of`"),
        ({"others": "drop"}, r"drops every category \(sky, road, car, truck, walk\)"),
        ({"void": "car"}, r"data\.remap\.void: car is a thing"),
    ],
)
def test_what_does_not_fit_the_categories_is_refused(street, settings, words):
    with pytest.raises(SettingError, match=words):
        label_space(street.read().categories, remap_of(**settings))


def test_a_merge_of_both_kinds_says_what_it_is(street):
    space = label_space(street.read().categories, remap_of(categories={"mix": {"of": ["car", "sky"], "thing": False}}))
    assert space.categories.by_name()["mix"].isthing is False


MERGE = {"categories": {"vehicle": ["car", "truck", "bus"]}, "drop": ["sky", "sea"]}


def test_truth_of_other_files_is_remapped_by_the_names_that_it_has(street):
    dataset = remapped_elsewhere(street.read(), remap_of(**MERGE))
    assert [c.name for c in dataset.categories] == ["road", "vehicle", "walk"]


def test_truth_that_has_the_new_categories_is_taken_as_it_is(street):
    once = remapped_elsewhere(street.read(), remap_of(**MERGE))
    assert remapped_elsewhere(once, remap_of(**MERGE)) is None


def test_truth_that_has_both_is_remapped(street):
    street.content["categories"][3] = {"id": 2, "name": "vehicle", "isthing": 1}  # in place of sky
    dataset = remapped_elsewhere(street.read(), remap_of(**MERGE))
    assert sum(row[1] == "vehicle" for row in rows_of(dataset)) == 4


def test_matching_by_name_is_that_of_the_reader(street):
    categories = remapped(street.read(), remap_of(drop=["sky"], void="sea")).categories
    ours, theirs = matched(street.read(), categories, "gt.json"), street.read(categories=categories)
    assert ours.categories == theirs.categories
    assert (ours.truth_only, ours.table_only) == (theirs.truth_only, theirs.table_only) == (("sky",), ("sea",))
    np.testing.assert_array_equal(ours.records[0].segments, theirs.records[0].segments)
    stuff = remapped(street.read(), remap_of(categories={"car": {"thing": False}})).categories
    with pytest.raises(InputError, match=r"gt\.json: category car is a thing, the model has it as stuff"):
        matched(street.read(), stuff, "gt.json")


def test_a_segment_whose_area_is_given_as_0_stays_beside_what_was_void(street):
    street.content["annotations"][0]["segments_info"][0]["area"] = 0  # sky
    dataset = remapped(street.read(), remap_of(void="rest"))
    truth = read_segment_map(dataset.records[0])
    assert set(np.unique(truth.ids).tolist()) == set(truth.segments["id"].tolist())
