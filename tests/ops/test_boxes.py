import math

import numpy as np
import pytest

from tfpanoptic.ops.boxes import LARGEST_GROWTH, box_area, clip_boxes, decode_boxes, encode_boxes, pairwise_iou


def boxes(*rows):
    return np.array([rows], "float32")


def test_area_has_no_extra_pixel():
    np.testing.assert_array_equal(box_area(boxes((2, 3, 5, 7), (1, 1, 1, 9))), [[12, 0]])


def test_overlap_of_two_squares_is_a_seventh():
    # 2 x 2 squares that share one of 4 + 4 - 1 cells; a box with itself; boxes that touch; one without area.
    found = pairwise_iou(boxes((0, 0, 2, 2), (4, 4, 4, 4)), boxes((1, 1, 3, 3), (0, 0, 2, 2), (0, 2, 2, 4)))
    np.testing.assert_allclose(found, [[[1 / 7, 1, 0], [0, 0, 0]]], rtol=1e-6)


def test_boxes_are_cut_to_the_valid_part():
    found = clip_boxes(boxes((-3, 2, 9, 5), (7, 20, 30, 40)), np.array([[8, 10]], "int32"))
    np.testing.assert_array_equal(found, boxes((0, 2, 8, 5), (7, 10, 8, 10)))


def test_deltas_of_a_box_twice_as_high():
    # Reference: centre (5, 10), 10 x 20. Box: centre (10, 10), 20 x 20.
    found = encode_boxes(boxes((0, 0, 20, 20)), boxes((0, 0, 10, 20)), weights=(10.0, 5.0))
    np.testing.assert_allclose(found, boxes((10 * 0.5, 0, 5 * math.log(2), 0)), rtol=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (10.0, 5.0)])
def test_decoding_undoes_encoding(weights):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (2, 9, 2))
    corners = np.concatenate([low, low + rng.uniform(5, 40, (2, 9, 2))], axis=-1).astype("float32")
    references = corners[:, ::-1]
    found = decode_boxes(encode_boxes(corners, references, weights), references, weights)
    np.testing.assert_allclose(found, corners, atol=1e-4)


def test_growth_has_a_limit():
    found = np.asarray(decode_boxes(boxes((0, 0, 50, -50)), boxes((0, 0, 2, 2))))[0, 0]
    assert found[2] - found[0] == pytest.approx(2 * 62.5, rel=1e-5) and math.exp(LARGEST_GROWTH) == pytest.approx(62.5)
    assert found[3] - found[1] < 1e-6
