from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.losses.centers import panoptic_deeplab_loss
from tfpanoptic.targets.centers import panoptic_deeplab_targets

FIXTURE = Path(__file__).parents[1] / "fixtures" / "postprocess" / "panoptic_deeplab_targets_losses.npz"
THING, STUFF = 1, 2


def targets_of(*panoptic):
    made = [panoptic_deeplab_targets(tf.constant(image, tf.int32), (THING,)) for image in panoptic]
    return {name: tf.stack([targets[name] for targets in made]) for name in made[0]}


def perfect_outputs(targets):
    return {
        "semantic_logits": tf.one_hot(targets["semantic"] - 1, 2) * 1000.0,
        "center_heatmap": targets["center_heatmap"][..., None],
        "center_offset": targets["center_offset"],
    }


def random_outputs(seed, batch, height, width):
    random = np.random.default_rng(seed)
    depths = {"semantic_logits": 2, "center_heatmap": 1, "center_offset": 2}
    return {
        name: tf.constant(random.normal(size=(batch, height, width, depth)), tf.float32)
        for name, depth in depths.items()
    }


def random_panoptic(seed, height=9, width=13):
    labels = np.array([0, 10_000, 10_001, 10_002, 20_000])
    return np.random.default_rng(seed).choice(labels, (height, width))


@pytest.mark.parametrize("case", ["0", "1"])
def test_the_weighted_terms_are_those_of_deeplab2(case):
    reference = np.load(FIXTURE)
    label, divisor = reference[f"{case}/label"], int(reference["divisor"])
    height, width = label.shape
    made = panoptic_deeplab_targets(
        tf.constant(label // divisor * 10_000 + label % divisor), tuple(reference["thing_ids"].tolist())
    )
    random = np.random.Generator(np.random.PCG64(int(reference[f"{case}/seed"])))
    logits = (random.standard_normal((1, height // 4, width // 4, 134)) * 2).astype(np.float32)
    logits = logits.repeat(4, axis=1).repeat(4, axis=2)
    margin = ((0, 0), (0, height - logits.shape[1]), (0, width - logits.shape[2]), (0, 0))
    outputs = {
        "semantic_logits": np.pad(logits, margin, mode="edge"),
        "center_heatmap": reference[f"{case}/pred_heatmap"][None, ..., None],
        "center_offset": reference[f"{case}/pred_offset"][None],
    }
    terms = panoptic_deeplab_loss(outputs, {name: value[None] for name, value in made.items()}, tuple(range(134)))
    for name, weight, theirs in (
        ("semantic", 1, "semantic"),
        ("center", 200, "center"),
        ("offset", 0.01, "regression"),
    ):
        np.testing.assert_allclose(weight * terms[name], reference[f"{case}/loss/{theirs}_loss"], rtol=1e-5)


def test_the_perfect_answer_costs_nothing():
    targets = targets_of(random_panoptic(0))
    terms = panoptic_deeplab_loss(perfect_outputs(targets), targets, (THING, STUFF))
    assert {name: float(value[0]) for name, value in terms.items()} == {"semantic": 0, "center": 0, "offset": 0}


def test_offsets_on_a_coarser_grid_count_in_pixels_of_the_input():
    # Two columns on five: one cell is four pixels, so the offset -0.25 is -1 pixel everywhere.
    outputs = {
        "semantic_logits": tf.zeros([1, 1, 2, 2]),
        "center_heatmap": tf.zeros([1, 1, 2, 1]),
        "center_offset": tf.constant([[[[0.0, -0.25], [0.0, -0.25]]]]),
    }
    targets = targets_of([[10_001] * 5])  # offsets 2 1 0 -1 -2
    loss = panoptic_deeplab_loss(outputs, targets, (THING, STUFF), align_corners=True)["offset"]
    # |-1 - target| = 3 2 1 0 1 across, 0 down: half of it, over the four pixels that are off.
    np.testing.assert_allclose(loss, [(3 + 2 + 1 + 1) / 2 / 4], rtol=1e-6)


def test_the_loss_of_a_batch_is_the_losses_of_its_images():
    targets = targets_of(random_panoptic(1), random_panoptic(2))
    outputs = random_outputs(3, 2, 3, 4)
    together = panoptic_deeplab_loss(outputs, targets, (THING, STUFF))
    for image in (0, 1):
        one = slice(image, image + 1)
        alone = panoptic_deeplab_loss(
            {k: v[one] for k, v in outputs.items()}, {k: v[one] for k, v in targets.items()}, (THING, STUFF)
        )
        for name in alone:
            np.testing.assert_allclose(alone[name][0], together[name][image], rtol=1e-6)


def test_void_pixels_do_not_change_the_loss():
    panoptic = random_panoptic(4)
    targets, outputs = targets_of(panoptic), random_outputs(5, 1, 9, 13)
    changed = {k: tf.where((panoptic == 0)[None, ..., None], 7.0, v) for k, v in outputs.items()}
    before, after = (panoptic_deeplab_loss(o, targets, (THING, STUFF), 1.0) for o in (outputs, changed))
    for name in before:
        np.testing.assert_allclose(before[name], after[name], rtol=1e-6)


def test_crowd_pixels_teach_the_category_alone():
    outputs = random_outputs(5, 1, 4, 4)
    terms = panoptic_deeplab_loss(outputs, targets_of(np.full((4, 4), 10_000)), (THING, STUFF))
    assert float(terms["center"][0]) == float(terms["offset"][0]) == 0 and float(terms["semantic"][0]) > 0


def test_every_output_receives_a_gradient():
    outputs, targets = random_outputs(6, 1, 3, 4), targets_of(random_panoptic(7))
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        total = tf.add_n(list(panoptic_deeplab_loss(outputs, targets, (THING, STUFF)).values()))
    for name, gradient in tape.gradient(total, outputs).items():
        assert np.isfinite(gradient).all() and np.any(gradient), name


def test_terms_are_float32_for_bfloat16_outputs():
    outputs = {name: tf.cast(value, tf.bfloat16) for name, value in random_outputs(8, 1, 3, 4).items()}
    terms = panoptic_deeplab_loss(outputs, targets_of(random_panoptic(9)), (THING, STUFF))
    assert {value.dtype for value in terms.values()} == {tf.float32}
