"""Structures as the image processors of Transformers 5.24 return them, made by hand."""

import numpy as np
import pytest

from tests.adapters.scene import CAT, CATEGORIES, DOG, NAMES, SKY, Tensor, assert_same, result
from tfpanoptic.errors import InputError
from tfpanoptic.result import PanopticResult

ID2LABEL = {0: "dog", 4: "cat", 7: "sky", 9: "N/A"}


def read(segmentation, segments_info, id2label=ID2LABEL):
    prediction = {"segmentation": segmentation, "segments_info": segments_info}
    return PanopticResult.from_transformers(prediction, CATEGORIES, id2label)


def entry(number, label, fused=False, score=0.9):
    return {"id": number, "label_id": label, "was_fused": fused, "score": score}


def test_segments_have_the_keys_of_the_format():
    prediction = result().to_transformers()
    assert prediction["segments_info"][:2] == [
        {"id": 300, "label_id": 0, "was_fused": True, "score": 0.75},
        {"id": 12, "label_id": 1, "was_fused": False, "score": 0.1 + 0.2},
    ]
    np.testing.assert_array_equal(prediction["segmentation"], result().segmentation)


@pytest.mark.parametrize("id2label", [NAMES, ID2LABEL])
def test_there_and_back_is_the_same(id2label):
    prediction = result().to_transformers(id2label)
    assert_same(PanopticResult.from_transformers(prediction, CATEGORIES, id2label), result())


def test_mask2former_counts_from_1_and_0_is_void():
    found = read(Tensor(np.array([[1, 1, 0], [2, 2, 0]], np.int32)), [entry(1, 7, True), entry(2, 4, score=0.5)])
    assert found.segmentation.tolist() == [[1, 1, 0], [2, 2, 0]]
    assert found.segment_map.segments.tolist() == [(1, SKY, False, 2, 0.9), (2, CAT, False, 2, 0.5)]


def test_eomt_counts_from_0_and_minus_1_is_void():
    segments = [{"id": 0, "label_id": 7, "score": 0.9}, {"id": 1, "label_id": 0, "score": 0.8}]  # no was_fused
    found = read(np.array([[0, 0, -1], [1, 1, 0]]), segments)
    assert found.segmentation.tolist() == [[1, 1, 0], [2, 2, 1]]
    assert found.segment_map.segments["category"].tolist() == [SKY, DOG]


def test_where_nothing_was_found_all_is_void():
    found = read(np.zeros((2, 3), np.float32) - 1, [])
    assert found.segmentation.tolist() == [[0, 0, 0], [0, 0, 0]] and not len(found.segment_map.segments)


def test_a_fused_segment_is_listed_for_each_query_and_keeps_its_best_score():
    segments = [entry(1, 7, True, 0.6), entry(1, 7, True, 0.8), entry(1, 7, True, 0.7)]
    assert read(np.array([[1, 1]]), segments).segment_map.segments.tolist() == [(1, SKY, False, 2, 0.8)]


def test_segments_without_a_pixel_are_left_out():
    assert read(np.array([[2, 2]]), [entry(1, 4), entry(2, 4)]).segment_map.segments["id"].tolist() == [2]


def test_numbers_of_numpy_and_pytorch_are_numbers():
    segments = [{"id": np.int64(1), "label_id": np.int32(4), "was_fused": np.False_, "score": np.float32(0.5)}]
    assert read([[1, 1]], segments).segment_map.segments.tolist() == [(1, CAT, False, 2, 0.5)]


@pytest.mark.parametrize(
    ("segmentation", "segments", "message"),
    [
        # After a fused label Transformers goes on counting from the fused segment's id.
        ([[1, 2]], [entry(1, 7, True), entry(2, 4), entry(2, 0)], r"\[2\]: id 2 is of two segments.*label_ids_to_fuse"),
        ([[1, 2]], [entry(1, 7, True), entry(2, 4), entry(2, 4)], r"\[2\]: id 2 is of two segments"),
        ([[1, 5]], [entry(1, 7)], "segmentation: id 5 is not in segments_info"),
        ([[1]], [entry(1, 3)], r"\[0\]: label_id 3 has no name in id2label, which has \[0, 4, 7, 9\]"),
        ([[1]], [entry(1, 9)], r"label_id 9 of id2label is 'N/A', which is no category of \['sky', 'cat', 'dog'\]"),
        ([[1]], [{"id": 1}], r"\[0\]: lacks label_id"),
        ([[1]], [entry(1.5, 4)], r"\[0\]: id must be an integer 0\.\..*found 1.5"),
        ([[1]], [entry(1, 4, score=float("nan"))], r"\[0\]: score must be a finite number"),
        ([[1.5]], [], "segmentation: expected whole numbers"),
        ([1, 2], [], r"segmentation: expected the segment id of each pixel, \[H, W\], found shape \[2\]"),
        (None, [], "segmentation: expected an array or a tensor"),
        ([[1, 2], [3]], [], "segmentation: expected an array or a tensor"),  # return_coco_annotation
        ([[2**40]], [], "segment ids must fit 32 bits"),
        ([[1]], {"id": 1}, "segments_info must be a list, found dict"),
    ],
)
def test_another_structure_is_an_error_that_names_it(segmentation, segments, message):
    with pytest.raises(InputError, match=message):
        read(segmentation, segments)


def test_the_list_of_a_batch_is_an_error():
    with pytest.raises(InputError, match="expected an object with segmentation, segments_info.*one for each image"):
        PanopticResult.from_transformers([result().to_transformers()], CATEGORIES, NAMES)


@pytest.mark.parametrize(("id2label", "message"), [(None, "found None"), ("cat", "found 'cat'")])
def test_names_must_be_names(id2label, message):
    with pytest.raises(InputError, match=f"id2label: expected names under their ids, or a list of names, {message}"):
        PanopticResult.from_transformers(result().to_transformers(), CATEGORIES, id2label)


@pytest.mark.parametrize(("id2label", "times"), [(["sky", "dog"], 0), (["sky", "cat", "cat", "dog"], 2)])
def test_a_category_needs_one_label(id2label, times):
    with pytest.raises(InputError, match=f"id2label: expected the name 'cat' once, found it {times} times"):
        result().to_transformers(id2label)
