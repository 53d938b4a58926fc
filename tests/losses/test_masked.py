from pathlib import Path

import numpy as np
import pytest

from tfpanoptic.losses.masked import masked_absolute_error, masked_squared_error, mean_of_nonzero

FIXTURE = Path(__file__).parents[1] / "fixtures" / "postprocess" / "panoptic_deeplab_targets_losses.npz"


@pytest.mark.parametrize("case", ["0", "1"])
def test_the_center_loss_equals_that_of_deeplab2(case):
    reference = np.load(FIXTURE)
    ours = masked_squared_error(
        reference[f"{case}/pred_heatmap"][None],
        reference[f"{case}/target/instance_center_gt"][None],
        reference[f"{case}/target/center_loss_weight"][None],
    )
    np.testing.assert_allclose(200 * np.asarray(ours), reference[f"{case}/loss/center_loss"], rtol=1e-5)


@pytest.mark.parametrize("case", ["0", "1"])
def test_the_offset_loss_equals_that_of_deeplab2(case):
    reference = np.load(FIXTURE)
    ours = masked_absolute_error(
        reference[f"{case}/pred_offset"][None],
        reference[f"{case}/target/instance_regression_gt"][None],
        reference[f"{case}/target/regression_loss_weight"][None],
    )
    np.testing.assert_allclose(0.01 * np.asarray(ours), reference[f"{case}/loss/regression_loss"], rtol=1e-5)


def test_squared_error_is_averaged_over_the_pixels_that_are_off():
    prediction, target = np.array([[[1.0, 3.0, 9.0, 2.0]]]), np.array([[[1.0, 1.0, 0.0, 0.0]]])
    weight = np.array([[[1.0, 1.0, 0.0, 1.0]]])
    # 0 (exact), 4, ignored, 4: two pixels that are not 0.
    np.testing.assert_allclose(masked_squared_error(prediction, target, weight), [4.0])


def test_absolute_error_is_averaged_over_its_channels():
    prediction = np.array([[[[1.0, -3.0], [5.0, 5.0]]]])
    np.testing.assert_allclose(masked_absolute_error(prediction, np.zeros((1, 1, 2, 2)), np.array([[[1, 0]]])), [2.0])


def test_the_perfect_answer_costs_nothing():
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    np.testing.assert_array_equal(masked_absolute_error(maps, maps, np.ones((2, 3, 4))), [0, 0])


def test_an_image_without_a_counted_pixel_costs_nothing():
    zeros = np.zeros((1, 2, 2))
    np.testing.assert_array_equal(masked_squared_error(np.ones((1, 2, 2)), zeros, zeros), [0])


def test_each_image_has_its_own_count():
    np.testing.assert_allclose(mean_of_nonzero(np.array([[2.0, 0.0, 0.0], [1.0, 2.0, 3.0]], np.float32)), [2, 2])
