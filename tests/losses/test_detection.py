import math

import numpy as np
import pytest

from tfpanoptic.losses.detection import (
    anchor_terms,
    binary_cross_entropy,
    mask_term,
    number_of,
    region_terms,
    smooth_absolute,
)

CHANNELS, CLASSES = (4, 7, 0), (4, 7)  # two classes of things and the background, last


def test_binary_cross_entropy_of_no_opinion_is_log_two_and_extremes_are_finite():
    found = binary_cross_entropy(np.array([0.0, 2.0, -1e4, 1e4], "float32"), np.array([1.0, 0.0, 1.0, 1.0], "float32"))
    np.testing.assert_allclose(found, [math.log(2), math.log(1 + math.e**2), 1e4, 0.0], rtol=1e-6)


@pytest.mark.parametrize(("beta", "expected"), [(0.0, [0.05, 2.0]), (1.0, [0.00125, 1.5]), (0.1, [0.0125, 1.95])])
def test_smooth_absolute_is_a_parabola_below_beta(beta, expected):
    np.testing.assert_allclose(smooth_absolute(np.array([-0.05, 2.0], "float32"), beta), expected, rtol=1e-5)


def anchors():
    return {
        "anchor_logits": np.array([[0.0, 2.0, 9.0], [0.0, 0.0, 0.0]], "float32"),
        "anchor_deltas": np.full((2, 3, 4), 0.5, "float32"),
        "anchor_targets": np.array([[[1.0] * 4, [9.0] * 4, [9.0] * 4], [[0.0] * 4] * 3], "float32"),
        "anchor_label": np.array([[1, 0, -1], [-1, -1, -1]], "int32"),
    }


def test_sums_over_anchors_are_divided_by_the_size_of_the_sample():
    found = anchor_terms(anchors(), count=10)
    # Image 0: one positive at logit 0, one negative at logit 2, of deltas only those of the positive one, 4 x 0.5.
    expected = (math.log(2) + math.log(1 + math.e**2)) / 10
    np.testing.assert_allclose(found["anchor_class"], [expected, 0], rtol=1e-6)
    np.testing.assert_allclose(found["anchor_box"], [0.2, 0], rtol=1e-6)


def regions():
    deltas = np.zeros((1, 3, 2, 4), "float32")
    deltas[0, 0, 1] = 0.25  # of class 7, which region 0 has
    deltas[0, 0, 0] = 99.0
    return {
        "box_logits": np.array([[[0, 1, 0], [0, 0, 2], [5, 5, 5]]], "float32"),
        "box_deltas": deltas,
        "region_targets": np.array([[[1.25] * 4, [0.0] * 4, [0.0] * 4]], "float32"),
        "region_category": np.array([[7, 0, -1]], "int32"),
    }


def test_regions_are_taught_their_class_and_foreground_its_own_deltas():
    found = region_terms(regions(), CHANNELS, CLASSES)
    foreground = -math.log(math.e / (2 + math.e))
    background = -math.log(math.e**2 / (2 + math.e**2))
    np.testing.assert_allclose(found["region_class"], [foreground + background], rtol=1e-6)
    np.testing.assert_allclose(found["region_box"], [4.0], rtol=1e-6)
    np.testing.assert_array_equal(number_of(regions()["region_category"] >= 0), [2])


def test_masks_of_the_foreground_are_averaged_over_their_cells():
    logits = np.zeros((1, 2, 4, 4), "float32")
    logits[0, 1] = 77.0
    found = mask_term(logits, np.ones((1, 2, 4, 4), "float32"), np.array([[3, 0]], "int32"))
    np.testing.assert_allclose(found, [math.log(2)], rtol=1e-6)


def test_the_terms_of_a_batch_are_those_of_its_images():
    both = anchors()
    alone = [anchor_terms({name: value[i : i + 1] for name, value in both.items()}, 10) for i in range(2)]
    for name, value in anchor_terms(both, 10).items():
        np.testing.assert_allclose(value, np.concatenate([one[name] for one in alone]))


def test_no_region_gives_a_loss_of_zero():
    nothing = {**regions(), "region_category": np.full((1, 3), -1, "int32")}
    assert all(np.asarray(value)[0] == 0 for value in region_terms(nothing, CHANNELS, CLASSES).values())
