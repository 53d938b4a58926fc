import json

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.coco_panoptic import (
    CocoPanopticConfig,
    join_categories,
    load_coco_panoptic,
    read_coco_panoptic,
    write_coco_panoptic,
)
from tfpanoptic.data.dataset import read_image, read_segment_map
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, segment_rows


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


def test_without_a_table_nothing_is_unmatched(coco):
    dataset = coco.read()
    assert (dataset.truth_only, dataset.table_only) == ((), ())


def test_an_added_category_gets_a_source_id_that_is_free():
    joined = join_categories(table(("cell", True, 3), ("sky", False, 9)), table(("ground", False, 3)))
    assert joined[3].source_id == 10


def test_a_thing_that_the_model_has_as_stuff_is_an_error(coco):
    with pytest.raises(InputError, match="category cell is a thing, the model has it as stuff"):
        coco.read(categories=table(("cell", False, 1)))


def break_category(content):
    content["annotations"][0]["segments_info"][0]["category_id"] = 99


def break_segment_id(content):
    content["annotations"][0]["segments_info"][0]["id"] = 0


def repeat_segment_id(content):
    content["annotations"][0]["segments_info"][0]["id"] = 5


def break_area(content):
    content["annotations"][0]["segments_info"][0]["area"] = "six"


def drop_area(content):
    del content["annotations"][0]["segments_info"][0]["area"]


def repeat_image(content):
    content["images"] *= 2


def repeat_annotation(content):
    content["annotations"] *= 2


def drop_annotation(content):
    content["annotations"] = []


def orphan_annotation(content):
    content["annotations"].append({"image_id": 5, "file_name": "0.png", "segments_info": []})


def break_height(content):
    content["images"][0]["height"] = "tall"


def drop_width(content):
    del content["images"][0]["width"]


def instances_annotation(content):
    content["annotations"] = [{"id": 1, "image_id": 100, "bbox": [0, 0, 1, 1], "category_id": 7}]


def instances_categories(content):
    content["categories"] = [{"id": 7, "name": "cell"}]


def empty(content):
    content["images"], content["annotations"] = [], []


def missing_image(content):
    content["images"][0]["file_name"] = "9.png"


def missing_png(content):
    content["annotations"][0]["file_name"] = "9.png"


def no_lists(content):
    del content["annotations"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_category, r"panoptic\.json: segment of 0\.png: unknown category id 99"),
        (break_segment_id, r"id must be an integer 1\.\.16777215, found 0"),
        (repeat_segment_id, "id 5 used twice"),
        (break_area, "area must be a number of pixels, found 'six'"),
        (drop_area, "lacks area"),
        (repeat_image, "image id 100 used twice"),
        (repeat_annotation, "image id 100 has two annotations"),
        (drop_annotation, r"image 0\.png \(id 100\) has no annotation"),
        (orphan_annotation, "annotation of image id 5, which is not in images"),
        (break_height, "height must be at least 1, found 'tall'"),
        (drop_width, "lacks width"),
        (instances_annotation, "an instances JSON"),
        (instances_categories, "is this an instances JSON"),
        (empty, "at least one image, found none"),
        (missing_image, r"images/9\.png: no such file, but .*panoptic\.json lists it"),
        (missing_png, r"panoptic/9\.png: no such file"),
        (no_lists, "the lists images, annotations and categories"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(coco, change, message):
    change(coco.content)
    with pytest.raises(InputError, match=message) as caught:
        coco.read()
    assert "\n" not in str(caught.value)


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


def test_a_configuration_reads_its_split(coco):
    coco.write()
    paths = {"images": str(coco.images), "annotations": str(coco.json), "panoptic": str(coco.panoptic)}
    dataset = load_coco_panoptic(CocoPanopticConfig(train=paths), "train")
    assert (dataset.split, len(dataset)) == ("train", 1)


def test_a_split_that_the_configuration_lacks_is_an_error(coco):
    config = CocoPanopticConfig(train={"images": "a", "annotations": "b", "panoptic": "c"})
    with pytest.raises(InputError, match=r"data\.val: not in the configuration"):
        load_coco_panoptic(config, "val")


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
    np.testing.assert_array_equal(read_image(dataset.records[0]), image)


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
