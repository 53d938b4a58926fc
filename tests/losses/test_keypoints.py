import numpy as np
import pytest
import tensorflow as tf

from tests.postprocess.keypoint_scenes import DEPTHS, THING, perfect_outputs, random_outputs, targets_of
from tfpanoptic.losses.keypoints import deeperlab_counts, deeperlab_loss

STUFF = 2
TERMS = ("semantic", "keypoint", "short", "middle", "long")


def loss(outputs, targets, radius=2, top_k_fraction=1.0, align_corners=False):
    return deeperlab_loss(outputs, targets, (THING, STUFF), radius, top_k_fraction, align_corners)


def random_panoptic(seed, height=9, width=13):
    return np.random.default_rng(seed).choice([0, 10_000, 10_001, 10_002, 20_000], (height, width))


def test_the_perfect_answer_costs_nothing():
    targets = targets_of(random_panoptic(0))
    assert {name: float(value[0]) for name, value in loss(perfect_outputs(targets), targets).items()} == dict.fromkeys(
        TERMS, 0.0
    )


def test_counts_are_the_pixels_that_each_term_learns_from():
    counts = deeperlab_counts(targets_of([[10_001, 20_000, 20_000, 20_000, 0]]))
    # All five keypoints are the first pixel; their disks reach two pixels on. Eight edges start there.
    assert {name: float(value[0]) for name, value in counts.items()} == {
        "keypoint": 4,
        "short": 5 * 3,
        "middle": 8 * 3,
        "long": 1,
    }


def test_offsets_count_in_radii_where_they_are_taught():
    targets = targets_of([[10_001, 20_000, 20_000, 20_000, 0]])
    outputs = perfect_outputs(targets)
    for name in ("short_offset", "middle_offset", "long_offset"):
        outputs[name] += 3.0  # off by 3 pixels, down and across, 1.5 radii
    terms, counts = loss(outputs, targets), deeperlab_counts(targets)
    for name in ("short", "middle", "long"):
        np.testing.assert_allclose(terms[name] / counts[name], [1.5], rtol=1e-6)


def test_a_flat_heatmap_costs_the_logarithm_of_two():
    targets = targets_of(random_panoptic(1))
    outputs = {**perfect_outputs(targets), "keypoint_logits": np.zeros((1, 9, 13, 5), np.float32)}
    np.testing.assert_allclose(
        loss(outputs, targets)["keypoint"] / deeperlab_counts(targets)["keypoint"], [np.log(2)], rtol=1e-6
    )


def test_each_edge_leads_from_the_disk_of_its_start_to_its_end():
    targets = targets_of([[10_001] * 9], radius=1)
    outputs = perfect_outputs(targets)
    outputs["middle_offset"][0, 0, :, 2 * 1 + 1] += 1  # from the centre to the top right, across
    # The centre's disk has 3 pixels: each is off by one radius in one of two coordinates.
    np.testing.assert_allclose(loss(outputs, targets, radius=1)["middle"], [1.5], rtol=1e-6)


@pytest.mark.parametrize(("align_corners", "factor"), [(True, 4.0), (False, 2.5)])
def test_offsets_on_a_coarser_grid_count_in_pixels_of_the_input(align_corners, factor):
    # Two columns on five: one cell is 4 pixels with aligned corners, else 2.5.
    targets = targets_of([[10_001, 20_000, 20_000, 20_000, 20_000]], radius=1)
    outputs = {name: np.zeros((1, 1, 2, depth), np.float32) for name, depth in DEPTHS.items()}
    outputs["long_offset"][..., 1::2] = 1.0
    terms = loss(outputs, targets, radius=1, align_corners=align_corners)
    np.testing.assert_allclose(terms["long"], [factor / 2], rtol=1e-6)


def test_the_loss_of_a_batch_is_the_losses_of_its_images():
    targets = targets_of(random_panoptic(1), random_panoptic(2))
    outputs = random_outputs(3, 2, 3, 4)
    together, counted = loss(outputs, targets), deeperlab_counts(targets)
    for image in (0, 1):
        one = slice(image, image + 1)
        some = {name: value[one] for name, value in targets.items()}
        alone, counts = loss({k: v[one] for k, v in outputs.items()}, some), deeperlab_counts(some)
        for name in alone:
            np.testing.assert_allclose(alone[name][0], together[name][image], rtol=1e-6)
        for name in counts:
            np.testing.assert_allclose(counts[name][0], counted[name][image])


def test_void_crowd_and_stuff_change_only_what_they_may():
    panoptic = random_panoptic(4)
    targets, outputs = targets_of(panoptic, radius=1), random_outputs(5, 1, 9, 13)
    changed = {k: tf.where((panoptic == 0)[None, ..., None], 7.0, v) for k, v in outputs.items()}
    before, after = (loss(o, targets, radius=1) for o in (outputs, changed))
    for name in ("semantic", "keypoint", "long"):
        np.testing.assert_allclose(before[name], after[name], rtol=1e-6)
    assert not np.allclose(before["short"], after["short"])  # disks reach over any pixel


def test_an_image_without_things_teaches_no_offset():
    terms = loss(random_outputs(5, 1, 4, 4), targets_of(np.full((4, 4), 20_000)))
    assert float(terms["short"][0]) == float(terms["middle"][0]) == float(terms["long"][0]) == 0
    assert float(terms["keypoint"][0]) > 0


def test_every_output_receives_a_gradient():
    outputs, targets = random_outputs(6, 1, 3, 4), targets_of(random_panoptic(7))
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        total = tf.add_n(list(loss(outputs, targets).values()))
    for name, gradient in tape.gradient(total, outputs).items():
        assert np.isfinite(gradient).all() and np.any(gradient), name


def test_extreme_logits_stay_finite():
    outputs = {name: 1e6 * value for name, value in random_outputs(6, 1, 3, 4).items()}
    assert all(np.isfinite(value).all() for value in loss(outputs, targets_of(random_panoptic(7))).values())


def test_terms_are_float32_for_bfloat16_outputs():
    outputs = {name: tf.cast(value, tf.bfloat16) for name, value in random_outputs(8, 1, 3, 4).items()}
    assert {value.dtype for value in loss(outputs, targets_of(random_panoptic(9))).values()} == {tf.float32}
