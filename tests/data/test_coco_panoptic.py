import json
import math

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data import DATASETS
from tfpanoptic.data.coco_panoptic import (
    CocoPanopticConfig,
    join_categories,
    load_coco_categories,
    load_coco_panoptic,
    read_coco_panoptic,
    write_coco_panoptic,
)
from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.settings.config import validate


def table(*categories: tuple[str, bool, int]) -> CategoryTable:
    """Table of (name, isthing, source id), ids in order."""
    return CategoryTable(
        tuple(Category(i, name, thing, (i, i, i), source) for i, (name, thing, source) in enumerate(categories, 1))
    )


def test_any_category_ids_become_one_to_c_in_ascending_order(coco):
    categories = coco.read().categories
    assert [(c.id, c.name, c.isthing, c.source_id) for c in categories] == [
        (1, "ground", False, 3),
        (2, "cell", True, 7),
    ]


def test_segments_have_our_category_ids_and_the_files_areas(coco):
    rows = coco.read().records[0].segments
    assert rows["id"].tolist() == [70000, 5, 6]
    assert rows["category"].tolist() == [2, 1, 2]
    assert rows["iscrowd"].tolist() == [False, False, True]
    assert rows["area"].tolist() == [6, 10, 4]


def test_what_else_the_file_says_of_an_image_is_kept(coco):
    coco.content["images"][0]["kind"] = "stained"
    record = coco.read().records[0]
    assert record.extra == {"kind": "stained"}
    assert (record.image_id, record.height, record.width) == (100, 4, 6)


def test_a_missing_iscrowd_means_no_crowd(coco):
    for row in coco.content["annotations"][0]["segments_info"]:
        del row["iscrowd"]
    assert not coco.read().records[0].segments["iscrowd"].any()


def test_a_models_table_keeps_its_ids_and_new_categories_come_behind(coco):
    dataset = coco.read(categories=table(("cell", True, 3), ("sky", False, 9)))
    assert [c.name for c in dataset.categories] == ["cell", "sky", "ground"]
    assert dataset.records[0].segments["category"].tolist() == [1, 3, 1]


def test_categories_that_do_not_match_are_named_on_both_sides(coco):
    dataset = coco.read(categories=table(("cell", True, 3), ("sky", False, 9)))
    assert (dataset.truth_only, dataset.table_only) == (("ground",), ("sky",))


def test_what_did_not_match_is_told_in_two_lines(coco):
    assert coco.read(categories=table(("cell", True, 3), ("sky", False, 9), ("sea", False, 10))).unmatched() == [
        "categories in the truth but not in the model, counted as missed: ground",
        "categories in the model but not in the truth, left out: sky, sea",
    ]


def test_without_a_table_nothing_is_unmatched(coco):
    dataset = coco.read()
    assert (dataset.truth_only, dataset.table_only, dataset.unmatched()) == ((), (), [])


def test_an_added_category_gets_a_source_id_that_is_free():
    joined = join_categories(table(("cell", True, 3), ("sky", False, 9)), table(("ground", False, 3)))
    assert joined[3].source_id == 10


def test_a_thing_that_the_model_has_as_stuff_is_an_error(coco):
    with pytest.raises(InputError, match="category cell is a thing, the model has it as stuff"):
        coco.read(categories=table(("cell", False, 1)))


def test_integral_floats_and_booleans_are_numbers_and_flags(coco):
    image, annotation = coco.content["images"][0], coco.content["annotations"][0]
    image |= {"id": 100.0, "height": 4.0, "width": 6.0}
    annotation["segments_info"][2] |= {"id": 6.0, "category_id": 7.0, "area": 4.0, "iscrowd": True}
    record = coco.read().records[0]
    assert (record.image_id, record.height, record.width) == (100, 4, 6)
    assert type(record.height) is int
    assert record.segments[2].item() == (6, 2, True, 4, 1.0)


def test_image_ids_may_be_texts(coco):
    coco.content["images"][0]["id"] = coco.content["annotations"][0]["image_id"] = "aachen_000001"
    assert coco.read().records[0].image_id == "aachen_000001"


def assert_told_in_one_line(coco, words: str) -> None:
    """Reading is refused in one line that begins with the file and holds `words`."""
    coco.write()
    with pytest.raises(InputError) as caught:
        coco.read()
    message = str(caught.value)
    assert message.startswith(str(coco.json)) and words in message and message.splitlines() == [message]


SEGMENT_ENTRY = "annotation 0.png, segments_info[1]: "


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("category_id", 99, "unknown category_id 99"),
        ("category_id", "3", "category_id must be an integer 0..2147483647, found '3'"),
        ("category_id", [3], "category_id must be an integer 0..2147483647, found [3]"),
        ("category_id", 3.5, "category_id must be an integer 0..2147483647, found 3.5"),
        ("id", 0, "id must be an integer 1..16777215, found 0"),
        ("id", 1 << 24, "id must be an integer 1..16777215, found 16777216"),
        ("id", None, "id must be an integer 1..16777215, found None"),
        ("id", 70000, "id 70000 used twice"),
        ("area", "ten", "area must be a finite number of at least 0, found 'ten'"),
        ("area", math.nan, "area must be a finite number of at least 0, found nan"),
        ("area", math.inf, "area must be a finite number of at least 0, found inf"),
        ("area", 1e20, "area must be at most 24 pixels, found 1e+20"),
        ("area", 25, "area must be at most 24 pixels, found 25"),  # the image is 4 x 6
        ("area", -1, "area must be a finite number of at least 0, found -1"),
        ("iscrowd", "0", "iscrowd must be 0 or 1, found '0'"),
        ("iscrowd", 2, "iscrowd must be 0 or 1, found 2"),
        ("iscrowd", None, "iscrowd must be 0 or 1, found None"),
        ("iscrowd", [0], "iscrowd must be 0 or 1, found [0]"),
    ],
)
def test_a_wrong_value_of_a_segment_is_told_in_one_line(coco, key, value, words):
    coco.content["annotations"][0]["segments_info"][1][key] = value
    assert_told_in_one_line(coco, SEGMENT_ENTRY + words)


def test_an_area_may_have_a_fraction(coco):
    """Nothing is trained on it, and areas of polygons have one."""
    coco.content["annotations"][0]["segments_info"][1]["area"] = 9.5
    coco.write()
    assert coco.read().records[0].segments["area"][1] == 9.5


@pytest.mark.parametrize("key", ["id", "category_id", "area"])
def test_a_segment_that_lacks_a_key_is_named(coco, key):
    del coco.content["annotations"][0]["segments_info"][1][key]
    assert_told_in_one_line(coco, SEGMENT_ENTRY + f"lacks {key}")


@pytest.mark.parametrize("segment", [None, 5, "id", [1, 2]])
def test_a_segment_that_is_no_object_is_named(coco, segment):
    coco.content["annotations"][0]["segments_info"][1] = segment
    assert_told_in_one_line(coco, SEGMENT_ENTRY + f"expected an object with area, category_id, id, found {segment!r}")


@pytest.mark.parametrize(
    ("part", "key", "value", "words"),
    [
        ("images", "height", "tall", "images[0] ('0.png'): height must be an integer 1..2147483647, found 'tall'"),
        ("images", "height", 4.5, "images[0] ('0.png'): height must be an integer 1..2147483647, found 4.5"),
        ("images", "width", 0, "images[0] ('0.png'): width must be an integer 1..2147483647, found 0"),
        ("images", "file_name", 7, "images[0]: file_name must be a text of one line, found 7"),
        ("images", "file_name", "", "images[0] (''): file_name must be a text of one line, found ''"),
        ("images", "file_name", "a\n.png", r"file_name must be a text of one line, found 'a\n.png'"),
        ("images", "file_name", "a\0.png", r"file_name must be a text of one line, found 'a\x00.png'"),
        ("images", "file_name", "\ud800.png", r"file_name must be a text of one line, found '\ud800.png'"),
        ("images", "id", [100], "images[0] ('0.png'): id must be an integer or a text, found [100]"),
        ("images", "id", None, "images[0] ('0.png'): id must be an integer or a text, found None"),
        ("images", "id", math.nan, "found nan"),
        ("images", "id", "100", "image 0.png (id '100') has no annotation"),
        ("annotations", "image_id", {"id": 1}, "annotations[0] ('0.png'): image_id must be an integer or a text"),
        ("annotations", "file_name", None, "annotations[0]: file_name must be a text of one line, found None"),
        ("annotations", "segments_info", None, "annotations[0] ('0.png'): segments_info must be a list, found None"),
        ("annotations", "segments_info", {}, "annotations[0] ('0.png'): segments_info must be a list, found {}"),
        ("categories", "id", "7", "categories[0]: id must be an integer 0..2147483647, found '7', in {'id': '7'"),
        ("categories", "id", 1.7, "categories[0]: id must be an integer 0..2147483647, found 1.7"),
        ("categories", "isthing", "0", "categories[0]: isthing must be 0 or 1, found '0'"),
        ("categories", "color", 5, "categories[0]: color must be three integers 0..255, found 5"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(coco, part, key, value, words):
    coco.content[part][0][key] = value
    assert_told_in_one_line(coco, words)


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
@pytest.mark.parametrize("entry", [None, 5, "id", []])
def test_an_entry_that_is_no_object_is_named(coco, part, entry):
    coco.content[part].append(entry)
    assert_told_in_one_line(coco, f"{part}[{len(coco.content[part]) - 1}]: expected an object with ")


def repeat_image(content):
    content["images"] *= 2


def repeat_image_id(content):
    content["images"].append({**content["images"][0], "file_name": "1.png"})


def repeat_file_name(content):
    content["images"].append({**content["images"][0], "id": 101})


def repeat_annotation(content):
    content["annotations"] *= 2


def drop_annotation(content):
    content["annotations"] = []


def orphan_annotation(content):
    content["annotations"].append({"image_id": 5, "file_name": "0.png", "segments_info": []})


def drop_width(content):
    del content["images"][0]["width"]


def instances_annotation(content):
    content["annotations"] = [{"id": 1, "image_id": 100, "bbox": [0, 0, 1, 1], "category_id": 7}]


def instances_categories(content):
    content["categories"] = [{"id": 7, "name": "cell"}]


def empty(content):
    content["images"], content["annotations"] = [], []


def no_list(content):
    del content["annotations"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (repeat_image, "images[1] ('0.png'): id 100 used twice"),
        (repeat_file_name, "images[1] ('0.png'): file_name 0.png used twice"),
        (repeat_image_id, "images[1] ('1.png'): id 100 used twice"),
        (repeat_annotation, "annotations[1] ('0.png'): image_id 100 used twice"),
        (drop_annotation, "image 0.png (id 100) has no annotation"),
        (orphan_annotation, "annotation of image id 5, not in images"),
        (drop_width, "images[0] ('0.png'): lacks width"),
        (instances_annotation, "an instances JSON"),
        (instances_categories, "is this an instances JSON"),
        (empty, "at least one image, found none"),
        (no_list, "the lists images, annotations and categories"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(coco, change, words):
    change(coco.content)
    assert_told_in_one_line(coco, words)


def places(content, path=()):
    """Path of every value inside nested lists and dicts."""
    for key in content if isinstance(content, dict) else range(len(content)):
        yield (*path, key)
        if isinstance(content[key], dict | list):
            yield from places(content[key], (*path, key))


ODD_VALUES = (
    None,
    True,
    -1,
    0,
    1.5,
    1e300,
    -math.inf,
    math.nan,
    1 << 70,
    "",
    "0",
    "a\nb",
    "\ud800",
    [],
    [[1]],
    {},
    {"id": 1},
)


def test_no_value_anywhere_gives_anything_but_a_dataset_or_one_line(coco):
    for *path, key in list(places(coco.content)):
        place = coco.content
        for step in path:
            place = place[step]
        right = place[key]
        for odd in ODD_VALUES:
            place[key] = odd
            try:
                coco.read()
            except InputError as error:
                assert len(str(error).splitlines()) == 1, (path, key, odd)
        place[key] = right


@pytest.mark.parametrize(("part", "folder"), [("images", "images"), ("annotations", "panoptic")])
def test_a_file_that_the_json_lists_and_the_folder_lacks_is_named(coco, part, folder):
    coco.content[part][0]["file_name"] = "9.png"
    with pytest.raises(InputError, match=rf"{folder}/9\.png: no such file, but .*panoptic\.json lists it"):
        coco.read()


def test_a_json_nested_too_deep_is_named(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        read_coco_panoptic(tmp_path, tmp_path / "a.json", tmp_path)


def test_a_missing_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: no such file; expected a COCO panoptic JSON"):
        read_coco_panoptic(tmp_path, tmp_path / "none.json", tmp_path)


def test_text_that_is_no_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        read_coco_panoptic(tmp_path, tmp_path / "a.json", tmp_path)


def test_a_missing_folder_is_named(coco):
    coco.write()
    with pytest.raises(InputError, match="nowhere: cannot list this folder"):
        read_coco_panoptic(coco.images.parent / "nowhere", coco.json, coco.panoptic)


@pytest.fixture
def paths(coco):
    """Configuration of a split: the files of `coco`."""
    coco.write()
    return {"images": str(coco.images), "annotations": str(coco.json), "panoptic": str(coco.panoptic)}


def test_a_configuration_reads_its_split(paths):
    dataset = load_coco_panoptic(CocoPanopticConfig(train=paths, val=paths), "train")
    assert (dataset.split, len(dataset)) == ("train", 1)


def test_there_is_no_third_split(paths):
    with pytest.raises(InputError, match="the splits train and val, not 'test'"):
        load_coco_panoptic(CocoPanopticConfig(train=paths, val=paths), "test")


def test_a_configuration_names_both_splits_or_a_share(paths):
    with pytest.raises(InputError, match=r"a\.yaml: data\.train is missing"):
        validate(CocoPanopticConfig, {"val": paths}, "a.yaml", "data")
    config = validate(CocoPanopticConfig, {"train": paths}, "a.yaml", "data")
    setting, message = refusal(lambda: DATASETS["coco_panoptic"].load(config, "val"))
    assert setting == "data.val" and "data.val_share, a share of train such as 0.2" in message
    assert len(DATASETS["coco_panoptic"].load(config, "train")) == 1


def test_a_set_without_validation_gets_a_share_of_train(several):
    several.write()
    train = {"images": several.images, "annotations": several.json, "panoptic": several.panoptic}
    settings = {"train": {key: str(path) for key, path in train.items()}, "val_share": 0.3}
    config = validate(CocoPanopticConfig, settings, "a.yaml", "data")
    parts = DATASETS["coco_panoptic"].load_splits(config, ("train", "select", "val"))
    assert sum(map(len, parts.values())) == 7 and all(map(len, parts.values()))


def refusal(load) -> tuple[str, str]:
    """The setting that `load` is refused for, and the message."""
    with pytest.raises(SettingError) as error:
        load()
    return error.value.path, str(error.value)


def test_without_annotations_the_setting_for_other_categories_is_named(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = CocoPanopticConfig(train={**paths, "annotations": "coco/train.json"}, val=paths)
    for load in (lambda: load_coco_categories(config), lambda: load_coco_panoptic(config, "val")):
        setting, message = refusal(load)
        assert setting == "data.train.annotations"
        assert f"coco/train.json: no such file or folder beside the configuration or in {tmp_path}" in message
        assert "data.categories=FILE" in message


def test_categories_that_are_missing_are_named_by_their_setting(paths, tmp_path):
    config = CocoPanopticConfig(train=paths, val=paths, categories=str(tmp_path / "few.json"))
    setting, message = refusal(lambda: load_coco_categories(config))
    assert setting == "data.categories" and f"{tmp_path / 'few.json'}: no such file" in message


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("key", ["images", "annotations", "panoptic"])
def test_a_part_of_a_split_that_is_missing_is_named_by_its_setting(paths, tmp_path, split, key):
    config = {"train": paths, "val": paths, "categories": paths["annotations"]}
    config[split] = {**paths, key: str(tmp_path / "none")}
    setting, message = refusal(lambda: load_coco_panoptic(CocoPanopticConfig(**config), split))
    assert setting == f"data.{split}.{key}" and f"{tmp_path / 'none'}: no such file or folder; expected" in message
    assert "data.categories" not in message  # it would not help


def test_categories_must_hold_those_of_the_training_file(paths, tmp_path):
    few = tmp_path / "few.json"
    few.write_text(json.dumps([{"id": 7, "name": "cell", "isthing": 1}]))
    config = CocoPanopticConfig(train=paths, val=paths, categories=str(few))
    with pytest.raises(InputError, match=r"few\.json lacks the categories ground of .*panoptic\.json"):
        load_coco_panoptic(config, "train")


def test_the_validation_file_may_have_more_categories(paths, tmp_path):
    few = tmp_path / "few.json"
    few.write_text(json.dumps([{"id": 7, "name": "cell", "isthing": 1}]))
    config = CocoPanopticConfig(train=paths, val=paths, categories=str(few))
    assert load_coco_panoptic(config, "val").truth_only == ("ground",)


def test_what_is_written_is_read_back(tmp_path):
    categories = table(("cell", True, 12), ("ground", False, 4))
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    ids = np.array([[0, 1, 1, 300], [300, 300, 1, 0], [66000, 0, 0, 0]], np.int32)
    truth = SegmentMap(ids, segment_rows([1, 300, 66000], [1, 2, 1], [False, False, True], [3, 3, 1]))
    write_coco_panoptic(tmp_path, categories, [("a", image, truth)])
    dataset = read_coco_panoptic(tmp_path / "images", tmp_path / "panoptic.json", tmp_path / "panoptic")
    # Ascending file ids: ground (4) is 1 now, cell (12) is 2.
    assert dataset.records[0].segments["category"].tolist() == [2, 1, 2]
    assert dataset.records[0].segments["iscrowd"].tolist() == [False, False, True]
    np.testing.assert_array_equal(read_segment_map(dataset.records[0]).ids, ids)
    np.testing.assert_array_equal(read_record_image(dataset.records[0]), image)


def test_a_written_png_holds_red_plus_256_green_plus_65536_blue(tmp_path):
    ids = np.array([[1, 300, 66000]], np.int32)
    truth = SegmentMap(ids, segment_rows([1, 300, 66000], [1, 1, 1]))
    write_coco_panoptic(tmp_path, table(("cell", True, 1)), [("a", np.zeros((1, 3, 3), np.uint8), truth)])
    # 300 = 44 + 256; 66000 = 65536 + 256 + 208.
    pixels = np.asarray(Image.open(tmp_path / "panoptic" / "a.png"))
    assert pixels.tolist() == [[[1, 0, 0], [44, 1, 0], [208, 1, 1]]]


def test_a_written_box_is_x_y_width_height(tmp_path):
    ids = np.array([[0, 0, 0], [0, 1, 1]], np.int32)
    truth = SegmentMap(ids, segment_rows([1], [1], areas=[2]))
    write_coco_panoptic(tmp_path, table(("cell", True, 1)), [("a", np.zeros((2, 3, 3), np.uint8), truth)])
    segment = json.loads((tmp_path / "panoptic.json").read_text())["annotations"][0]["segments_info"][0]
    assert segment["bbox"] == [1, 1, 2, 1]


@pytest.mark.parametrize(
    "name, things, stuff, first", [("coco", 80, 53, ("person", 1)), ("cityscapes", 8, 11, ("road", 7))]
)
def test_official_categories_need_no_file(name, things, stuff, first):
    nowhere = {"images": "none", "annotations": "none.json", "panoptic": "none"}
    table = load_coco_categories(CocoPanopticConfig(train=nowhere, val=nowhere, categories=name))
    assert (len(table.thing_ids), len(table.stuff_ids)) == (things, stuff)
    assert (next(iter(table)).name, next(iter(table)).source_id) == first
