"""Annotations with RLE, read by pycocotools."""

import json

import numpy as np
import pytest

from tests.adapters.scene import CAT, CATEGORIES, DOG, SKY, assert_same, result
from tfpanoptic.errors import InputError
from tfpanoptic.result import PanopticResult

masks = pytest.importorskip("pycocotools.mask")

# The left 3 columns of 2 x 4; each length of its runs is one character from "0".
LEFT = {"size": [2, 4], "counts": "062"}
RIGHT = {"size": [2, 4], "counts": [4, 4]}


def read(*annotations, **options):
    return PanopticResult.from_coco_rle(list(annotations), CATEGORIES, **options)


def entry(segmentation, category_id=70, **more):
    return {"image_id": 5, "category_id": category_id, "segmentation": segmentation, **more}


def test_an_annotation_has_what_coco_has():
    annotation = result().to_coco_rle(5)[1]
    np.testing.assert_array_equal(masks.decode(annotation.pop("segmentation")), result().segmentation == 12)
    assert annotation == {
        "image_id": 5,
        "segment_id": 12,
        "category_id": 70,
        "area": 12,
        "bbox": [1, 4, 3, 4],  # x, y, width, height
        "iscrowd": 0,
        "score": 0.1 + 0.2,
    }


def test_pycocotools_loads_them_as_results(capsys):
    from pycocotools.coco import COCO

    truth = COCO()
    truth.dataset = {"images": [{"id": 5, "height": 9, "width": 12}], "annotations": [], "categories": []}
    truth.createIndex()
    loaded = truth.loadRes(json.loads(json.dumps(result().to_coco_rle(5))))
    for annotation, segment in zip(loaded.loadAnns(loaded.getAnnIds()), result().segments_info, strict=True):
        np.testing.assert_array_equal(loaded.annToMask(annotation), result().segmentation == segment["id"])
        assert (annotation["category_id"], annotation["bbox"]) == (segment["category_id"], segment["bbox"])


def test_there_and_back_is_the_same():
    annotations = json.loads(json.dumps(result().to_coco_rle(5)))
    assert_same(PanopticResult.from_coco_rle(annotations, CATEGORIES), result())


def test_what_pycocotools_encodes_is_read():
    encoded = masks.encode(np.asfortranarray(result().segmentation == 12, np.uint8))  # counts in bytes
    np.testing.assert_array_equal(read(entry(encoded)).segmentation != 0, result().segmentation == 12)


def test_where_masks_overlap_the_better_score_has_the_pixel():
    found = read(entry(LEFT, score=0.5), entry(RIGHT, 71, score=0.6))
    assert found.segmentation.tolist() == [[1, 1, 2, 2]] * 2
    assert found.segment_map.segments.tolist() == [(1, CAT, False, 4, 0.5), (2, DOG, False, 4, 0.6)]


def test_of_equal_scores_the_first_has_the_pixel():
    assert read(entry(RIGHT), entry(LEFT, 30)).segmentation.tolist() == [[2, 2, 1, 1]] * 2


def test_a_crowd_has_what_no_other_has():
    found = read(entry(RIGHT, iscrowd=1, score=0.9), entry(LEFT, 30, score=0.1))
    assert found.segmentation.tolist() == [[2, 2, 2, 1]] * 2
    assert found.segment_map.segments.tolist() == [(1, CAT, True, 2, 0.9), (2, SKY, False, 6, 0.1)]


def test_what_is_hidden_is_left_out():
    behind = {"size": [2, 4], "counts": [2, 2, 4]}
    assert read(entry(LEFT), entry(behind, 71)).segment_map.segments["category"].tolist() == [CAT]


def test_polygons_need_the_size():
    square = [[1, 0, 3, 0, 3, 1, 1, 1]]
    assert read(entry(square), size=(2, 4)).segmentation.tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    with pytest.raises(InputError, match=r"give size=\(height, width\)"):
        read(entry(square))


def test_no_annotation_is_an_image_of_void():
    assert not read(size=(2, 4)).segmentation.any()


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([entry(LEFT), entry(RIGHT, image_id=6)], r"\[1\]: image_id 6; expected one image, 5 as the first"),
        ([entry(LEFT, 72)], r"\[0\]: unknown category_id 72, not in \[30, 70, 71\]"),
        ([entry(LEFT), entry({"size": [4, 2], "counts": "062"})], r"\[1\]: segmentation has size \[4, 2\]"),
        ([entry({"size": [2, 4], "counts": b"\xff\xff"})], r"\[0\]: segmentation counts are no compressed RLE"),
        ([entry({"size": [2, 4], "counts": "0"})], "do not add up to its image's 8 pixels"),
        ([entry({"size": 8, "counts": "062"})], r"size must be \[height, width\], found 8"),
        ([entry(LEFT), entry({"size": [2, 4]})], r"\[1\]: lacks counts"),
        ([entry(LEFT, segment_id=3), entry(RIGHT, segment_id=3)], "segment_id 3 is of two annotations, expected one"),
        ([entry(LEFT, segment_id=0)], "segment_id must be an integer 1"),
        ([entry(LEFT, 30, iscrowd=1)], "iscrowd is 1, but sky is stuff"),
        ([{"category_id": 70}, entry(LEFT)], r"\[0\]: lacks segmentation"),
        ([None, entry(LEFT)], r"\[0\]: expected an object with category_id, segmentation, found None"),
    ],
)
def test_another_structure_is_an_error_that_names_it(annotations, message):
    with pytest.raises(InputError, match=message):
        read(*annotations)
