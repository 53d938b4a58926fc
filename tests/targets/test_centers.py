from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.targets.centers import gaussian_peaks, panoptic_deeplab_targets

FIXTURE = Path(__file__).parents[1] / "fixtures" / "postprocess" / "panoptic_deeplab_targets_losses.npz"
THING, STUFF = 1, 2
A, B, CROWD, GRASS = 10_001, 10_002, 10_000, 20_000


def targets(rows, **settings):
    made = panoptic_deeplab_targets(tf.constant(rows, tf.int32), (THING,), **settings)
    return {name: value.numpy() for name, value in made.items()}


@pytest.fixture(scope="module")
def reference():
    return np.load(FIXTURE)


@pytest.mark.parametrize("case", ["0", "1"])
@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance"),
    [
        ("semantic", "semantic_gt", 0),
        ("semantic_weight", "semantic_loss_weight", 0),
        ("center_heatmap", "instance_center_gt", 1e-6),
        ("center_weight", "center_loss_weight", 0),
        ("center_offset", "instance_regression_gt", 0),
        ("offset_weight", "regression_loss_weight", 0),
    ],
)
def test_targets_equal_those_of_deeplab2(reference, case, ours, theirs, tolerance):
    label, divisor = reference[f"{case}/label"], int(reference["divisor"])
    panoptic = label // divisor * 10_000 + label % divisor
    made = panoptic_deeplab_targets(tf.constant(panoptic), tuple(reference["thing_ids"].tolist()))
    np.testing.assert_allclose(made[ours], reference[f"{case}/target/{theirs}"], rtol=0, atol=tolerance)


def test_offsets_point_from_each_pixel_to_the_mean_pixel():
    made = targets([[0, A, A, A], [0, A, 0, 0]])
    # Mean of (0,1) (0,2) (0,3) (1,1) is (0.25, 1.75), rounded (0, 2).
    np.testing.assert_array_equal(made["center_offset"][0, 1:], [[0, 1], [0, 0], [0, -1]])
    np.testing.assert_array_equal(made["center_offset"][1, 1], [-1, 1])


def test_a_mean_between_two_pixels_rounds_to_the_even_one():
    made = targets([[0, A, A, 0]])  # mean 1.5 -> 2
    np.testing.assert_array_equal(made["center_heatmap"] == 1, [[False, False, True, False]])


def test_the_center_of_a_large_instance_is_exact():
    panoptic = np.full((3000, 2000), A)  # mean (1499.5, 999.5); a float32 sum of rows would be off by pixels
    made = targets(panoptic)
    np.testing.assert_array_equal(made["center_offset"][0, 0], [1500, 1000])


def test_overlapping_gaussians_keep_the_larger_value():
    heatmap = gaussian_peaks(tf.constant([[0, 0], [0, 4]]), 1, 5, sigma=2.0).numpy()
    # Distances to the nearest centre 0 1 2 1 0: exp(-1/8), exp(-4/8).
    np.testing.assert_allclose(heatmap, [[1, 0.882497, 0.606531, 0.882497, 1]], atol=1e-6)


def test_a_gaussian_is_zero_beyond_its_window():
    heatmap = gaussian_peaks(tf.constant([[0, 0]]), 27, 27, sigma=8.0).numpy()
    assert heatmap[25, 25] == pytest.approx(5.74e-5, rel=1e-3) and heatmap[26, 0] == 0 and heatmap[0, 26] == 0


def test_an_instance_of_the_limiting_area_has_the_ordinary_weight():
    made = targets([[A, A, A, B, B, GRASS]], small_instance_area=3, small_instance_weight=5.0)
    np.testing.assert_array_equal(made["semantic_weight"], [[1, 1, 1, 5, 5, 1]])


def test_a_crowd_has_no_center_and_no_offset_but_a_category():
    made = targets([[CROWD, CROWD, GRASS, 0]])
    assert not made["center_heatmap"].any() and not made["offset_weight"].any()
    np.testing.assert_array_equal(made["center_weight"], [[0, 0, 1, 0]])
    np.testing.assert_array_equal(made["semantic"], [[THING, THING, STUFF, 0]])


def test_a_crowd_can_be_left_out_of_the_semantic_target():
    made = targets([[CROWD, A, GRASS]], crowd_in_semantic=False)
    np.testing.assert_array_equal(made["semantic"], [[0, THING, STUFF]])


def test_an_image_of_void_alone_teaches_nothing():
    made = targets(np.zeros((3, 4), int))
    for name in ("semantic", "center_heatmap", "center_weight", "offset_weight", "center_offset"):
        assert not made[name].any(), name


def test_shapes_and_dtypes_hold_inside_a_dataset():
    data = tf.data.Dataset.from_tensors(np.array([[A, GRASS, 0]], np.int32))
    made = next(iter(data.map(lambda panoptic: panoptic_deeplab_targets(panoptic, (THING,)))))
    assert made["semantic"].dtype == tf.int32 and made["semantic"].shape == (1, 3)
    assert made["center_offset"].dtype == tf.float32 and made["center_offset"].shape == (1, 3, 2)


def test_mirrored_labels_give_mirrored_offsets():
    panoptic = np.array([[A, A, A, B, B], [A, 0, GRASS, B, B], [A, A, A, CROWD, B]])
    made, mirrored = targets(panoptic), targets(panoptic[:, ::-1])
    np.testing.assert_array_equal(mirrored["offset_weight"], made["offset_weight"][:, ::-1])
    np.testing.assert_array_equal(mirrored["center_offset"][..., 0], made["center_offset"][:, ::-1, 0])
