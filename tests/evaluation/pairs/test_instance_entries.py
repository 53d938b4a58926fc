import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.cityscapes_ids import cityscapes_categories
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures import mask_ap
from tfpanoptic.evaluation.pairs.instance_entries import (
    find_cityscapes_results,
    read_cityscapes_results,
    read_coco_instances,
    read_coco_results,
)
from tfpanoptic.rle import encode_mask

masks = pytest.importorskip("pycocotools.mask")

TABLE = CategoryTable((Category(1, "car", True, (0, 0, 1), 3), Category(2, "grass", False, (0, 0, 2), 9)))
IMAGES = {7: (3, 4), 8: (3, 4)}
RLE = {"size": [3, 4], "counts": [2, 4, 6]}
MASK = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]], bool)
RESULT = {"image_id": 7, "category_id": 3, "segmentation": RLE, "score": 0.5}
TRUTH = {"id": 1, "image_id": 7, "category_id": 3, "segmentation": RLE, "area": 4.5, "iscrowd": 0}


def written(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def truth_file(annotations=(TRUTH,), images=None, categories=None):
    if images is None:
        images = [{"id": i, "height": h, "width": w, "file_name": f"{i}.jpg"} for i, (h, w) in IMAGES.items()]
    return {
        "images": images,
        "annotations": list(annotations),
        "categories": [{"id": 3, "name": "car"}] if categories is None else categories,
    }


def test_results_come_by_image_in_the_order_of_the_file(tmp_path):
    polygon = {**RESULT, "segmentation": [[0, 0, 4, 0, 4, 3, 0, 3]], "score": 1}
    path = written(tmp_path, [RESULT, {**RESULT, "image_id": 8.0, "score": 0.25}, polygon])
    found = read_coco_results(path, IMAGES, TABLE)
    assert [entry["score"] for entry in found[7]] == [0.5, 1.0] and [entry["score"] for entry in found[8]] == [0.25]
    assert {entry["category"] for entry in found[7]} == {1}
    np.testing.assert_array_equal(masks.decode(found[7][0]["segmentation"]), MASK)
    assert masks.area(found[7][1]["segmentation"]) == 12


def test_an_empty_list_is_a_result_without_detections(tmp_path):
    assert read_coco_results(written(tmp_path, []), IMAGES, TABLE) == {7: [], 8: []}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, r"file.json: \[1\]: unknown image_id 9, not in images; --subset passes over it"),
        ({"image_id": "7"}, "unknown image_id '7'"),
        ({"image_id": [7]}, r"image_id must be an integer .*found \[7\]"),
        ({"category_id": 4}, r"category_id 4 is of no thing; things have \[3\]"),
        ({"category_id": 9}, "category_id 9 is of no thing"),
        ({"category_id": "3"}, "category_id must be an integer"),
        ({"score": None}, "score must be a finite number, found None"),
        ({"score": float("nan")}, "score must be a finite number, found nan"),
        ({"score": float("-inf")}, "score must be a finite number, found -inf"),
        ({"score": 10**400}, "score must be a finite number, found 1000"),
        ({"score": "0.5"}, "score must be a finite number, found '0.5'"),
        ({"segmentation": {"size": [4, 3], "counts": "246"}}, r"size \[4, 3\], its image \[3, 4\]"),
        ({"segmentation": {"size": [3, 4], "counts": "245"}}, "do not add up"),
        ({"segmentation": "246"}, "must be polygons or RLE"),
    ],
)
def test_a_wrong_detection_is_named_by_its_place(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as raised:
        read_coco_results(written(tmp_path, [RESULT, {**RESULT, **change}]), IMAGES, TABLE)
    assert "\n" not in str(raised.value)


def test_detections_in_other_images_are_passed_over_on_request(tmp_path):
    beyond = set()
    path = written(tmp_path, [RESULT, {**RESULT, "image_id": 9}, {**RESULT, "image_id": 9.0}])
    found = read_coco_results(path, IMAGES, TABLE, beyond)
    assert sum(map(len, found.values())) == 1 and beyond == {9}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "not valid JSON"),
        ([7], r"\[0\]: expected an object with category_id, image_id, score, segmentation, found 7"),
        ([{"image_id": 7, "category_id": 3, "segmentation": RLE}], r"\[0\]: lacks score$"),
        (
            [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}],
            "lacks segmentation; is this for boxes",
        ),
        ([{"image_id": 7, "segments_info": []}], "lacks .*; is this a panoptic JSON?"),
        (truth_file(), "a list of detections, found an object with annotations, categories, images"),
        ({"annotations": [{"segments_info": []}]}, "a list of detections, found a panoptic JSON"),
        ("null", "a list of detections, found None"),
    ],
)
def test_another_json_than_results_is_told(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_coco_results(written(tmp_path, content), IMAGES, TABLE)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="no such file; expected a COCO results JSON"):
        read_coco_results(tmp_path / "none.json", IMAGES, TABLE)
    with pytest.raises(InputError, match="no such file; expected a COCO instances JSON"):
        read_coco_instances(tmp_path / "none.json", IMAGES, TABLE)


def test_true_instances_keep_the_areas_and_crowds_of_the_file(tmp_path):
    crowd = {**TRUTH, "id": 2, "image_id": 8, "iscrowd": 1, "area": 300}
    found = read_coco_instances(written(tmp_path, truth_file([TRUTH, crowd])), IMAGES, TABLE)
    expected = {"category": 1, "segmentation": encode_mask(MASK), "iscrowd": False, "area": 4.5}
    assert found == {7: [expected], 8: [{**expected, "iscrowd": True, "area": 300.0}]}


def test_images_that_are_not_evaluated_are_left_out(tmp_path):
    found = read_coco_instances(written(tmp_path, truth_file()), {8: (3, 4)}, TABLE)
    assert found == {8: []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([RESULT], "expected a COCO instances JSON .*, found a list, as COCO results are"),
        ({"annotations": [{"segments_info": []}]}, "found a panoptic JSON"),
        (truth_file([{"image_id": 7, "segments_info": []}]), r"annotations\[0\]: lacks .*; is this a panoptic JSON?"),
        (truth_file([TRUTH, TRUTH]), r"annotations\[1\]: id 1 used twice"),
        (truth_file([{**TRUTH, "image_id": 5}]), "unknown image_id 5"),
        (truth_file([{**TRUTH, "category_id": 5}]), r"annotations\[0\]: category_id 5 is of no thing"),
        (truth_file([{**TRUTH, "iscrowd": 2}]), "iscrowd must be 0 or 1, found 2"),
        (truth_file([{**TRUTH, "area": -1}]), "area must be a finite number of at least 0, found -1"),
        (truth_file([{**TRUTH, "segmentation": []}]), "found an empty list"),
        (truth_file(categories=[{"id": 3, "name": "cart"}]), "category 3 is cart, in the panoptic truth car"),
        (truth_file(categories=[{"id": 3}]), r"categories\[0\]: lacks name"),
        (truth_file(categories=[]), r"category_id 3 is of no thing; things have \[\]"),
        (truth_file(images=[]), "lacks 2 of 2 images, the first has id 7"),
        (
            truth_file(images=[{"id": 7, "height": 3, "width": 5}]),
            r"images\[0\]: image 7 is 3x5 \(height x width\), its panoptic truth is 3x4",
        ),
        (truth_file(images=[{"id": 7, "height": 3, "width": 4}] * 2), r"images\[1\]: id 7 used twice"),
        (truth_file(images=[{"id": 7, "height": 3}]), r"images\[0\]: lacks width"),
    ],
)
def test_wrong_true_instances_are_told(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_coco_instances(written(tmp_path, content), IMAGES, TABLE)


def test_what_was_read_is_what_mask_ap_measures(tmp_path):
    truth = read_coco_instances(written(tmp_path, truth_file()), IMAGES, TABLE)
    # The right one, and in the other image a wrong one with a lower score.
    found = read_coco_results(written(tmp_path, [RESULT, {**RESULT, "image_id": 8, "score": 0.1}]), IMAGES, TABLE)
    rows = [mask_ap.count_instance_rows(truth[i], found[i], TABLE) for i in IMAGES]
    assert mask_ap.summarize_rows(np.concatenate(rows), TABLE)["ap"] == pytest.approx(1)


values = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3) | st.lists(st.integers(0, 9))
)
segmentations = (
    st.fixed_dictionaries({"size": st.just([3, 4]), "counts": st.lists(st.integers(0, 12)) | values}) | values
)


def entries(valid):
    """Entries with some values replaced and some left out."""
    changes = st.fixed_dictionaries({}, optional={key: values for key in valid if key != "segmentation"})
    changed = st.builds(lambda change, mask: {**valid, **change, **mask}, changes,
                        st.just({}) | st.fixed_dictionaries({"segmentation": segmentations}))  # fmt: skip
    cut = st.builds(lambda entry, key: {k: v for k, v in entry.items() if k != key}, changed, st.sampled_from([*valid]))
    return changed | cut | values


@settings(max_examples=200, deadline=None)
@given(st.lists(entries(RESULT), max_size=3) | values, st.lists(entries(TRUTH), max_size=3) | values)
def test_any_json_is_read_or_refused_by_name(tmp_path_factory, results, annotations):
    path = tmp_path_factory.getbasetemp() / "any.json"
    truth = {**truth_file(), "annotations": annotations}
    for read, content in ((read_coco_results, results), (read_coco_instances, truth)):
        path.write_text(json.dumps(content))
        try:
            found = read(path, IMAGES, TABLE)
        except InputError as error:
            assert str(path) in str(error)
        else:
            assert found.keys() == IMAGES.keys()


CITY = cityscapes_categories()
CAR = CITY.by_name()["car"].id
NAME = "bonn_000001_000019"


@pytest.fixture
def results(tmp_path):
    """A folder of results with two masks of 3 x 4, one of 0 and 255 and one of 0 and 1."""
    (tmp_path / "masks").mkdir()
    Image.fromarray(MASK).save(tmp_path / "masks" / "a.png")
    Image.fromarray(~MASK * np.uint8(1)).save(tmp_path / "masks" / "b.png")
    return tmp_path


def read_lines(folder, *lines):
    path = folder / f"{NAME}.txt"
    path.write_text("\n".join(lines))
    return list(read_cityscapes_results(path, folder, (3, 4), CITY))


def test_cityscapes_masks_count_where_they_are_not_black(results):
    first, second = read_lines(results, "masks/a.png 26 0.5", "masks/b.png 24.0 1e-3", "")
    assert first[:2] == (CAR, 0.5) and second[:2] == (CITY.by_name()["person"].id, 0.001)
    np.testing.assert_array_equal(first[2], MASK)
    np.testing.assert_array_equal(second[2], ~MASK)


def test_caravans_and_trailers_are_passed_over(results):
    assert read_lines(results, "masks/a.png 29 0.5", "masks/b.png 30 0.5") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("masks/a.png 26", 'line 2: expected "mask.png label score"'),
        ("masks/a b.png 26 0.5", 'expected "mask.png label score"'),
        ("masks/b.png car 0.5", "expected numbers for label and score"),
        ("masks/b.png 26.5 0.5", "label must be an integer, found 26.5"),
        ("masks/b.png nan 0.5", "label must be an integer, found nan"),
        ("masks/b.png 26 nan", "score must be a finite number, found nan"),
        ("masks/b.png 26 inf", "score must be a finite number, found inf"),
        ("masks/b.png 13 0.5", "label 13 is of no thing; things have"),  # what a car is in training
        ("masks/b.png -1 0.5", "label must be an integer 0.."),
        ("masks/c.png 26 0.5", "c.png: no such file"),
        ("masks 26 0.5", "masks: cannot be read"),
        ("masks/\0.png 26 0.5", "line 2: "),
        ("masks/a.png 26 0.5", "masks/a.png is listed twice"),
        ("masks/../masks/a.png 26 0.5", "is listed twice"),
        ("../a.png 26 0.5", "must be a relative path to a file in"),
        ("/tmp/a.png 26 0.5", "must be a relative path to a file in"),
        ("masks/small.png 26 0.5", r"the mask is 2x2 \(height x width\), its image \(3, 4\)"),
        ("masks/deep.png 26 0.5", "expected a mask of 8 bits, found Pillow mode I;16"),
        ("masks/cut.png 26 0.5", "damaged or cut short"),
        ("masks/text.png 26 0.5", "not an image"),
    ],
)
def test_a_wrong_line_of_cityscapes_results_is_told(results, line, message):
    Image.fromarray(np.ones((2, 2), bool)).save(results / "masks" / "small.png")
    Image.fromarray(np.ones((3, 4), np.uint16)).save(results / "masks" / "deep.png")
    whole = (results / "masks" / "b.png").read_bytes()
    (results / "masks" / "cut.png").write_bytes(whole[: whole.index(b"IDAT") + 6])
    (results / "masks" / "text.png").write_text("mask")
    with pytest.raises(InputError, match=message) as raised:
        read_lines(results, "masks/a.png 26 0.5", line)
    assert str(raised.value).startswith(str(results / f"{NAME}.txt")) and "\n" not in str(raised.value)


def test_result_files_are_found_by_the_start_of_their_names(tmp_path):
    (tmp_path / "bonn").mkdir()
    path = tmp_path / "bonn" / f"{NAME}_pred.txt"
    path.write_text("")
    (tmp_path / "readme.txt").write_text("")
    other = "bonn_000002_000019_gtFine_instanceIds.png"
    truth = f"{NAME}_gtFine_instanceIds.png"
    assert find_cityscapes_results(tmp_path, [truth, other]) == {truth: path}
    (tmp_path / f"{NAME}.txt").write_text("")
    with pytest.raises(InputError, match=f"both hold results of {truth}; expected one"):
        find_cityscapes_results(tmp_path, [truth])
    with pytest.raises(InputError, match="for images named city_sequence_frame_.*, found 0001.png"):
        find_cityscapes_results(tmp_path, ["0001.png"])
    with pytest.raises(InputError, match="none: no such folder"):
        find_cityscapes_results(tmp_path / "none", [truth])


def test_a_result_file_that_is_no_text_is_told(results):
    path = results / f"{NAME}.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_cityscapes_results(path, results, (3, 4), CITY))
