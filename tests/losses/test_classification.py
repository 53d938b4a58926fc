from pathlib import Path

import numpy as np
import pytest

from tfpanoptic.losses.classification import hard_pixel_cross_entropy

FIXTURE = Path(__file__).parents[1] / "fixtures" / "postprocess" / "panoptic_deeplab_targets_losses.npz"


def loss(logits, category, weight=None, channels=(1, 2), top_k_fraction=1.0):
    logits, category = np.asarray(logits, np.float32), np.asarray(category, np.int32)
    weight = np.ones(category.shape, np.float32) if weight is None else np.asarray(weight, np.float32)
    return np.asarray(hard_pixel_cross_entropy(logits, category, weight, channels, top_k_fraction))


@pytest.mark.parametrize("case", ["0", "1"])
def test_the_loss_equals_that_of_deeplab2(case):
    reference = np.load(FIXTURE)
    category = reference[f"{case}/target/semantic_gt"]
    height, width = category.shape
    random = np.random.Generator(np.random.PCG64(int(reference[f"{case}/seed"])))
    logits = (random.standard_normal((1, height // 4, width // 4, 134)) * 2).astype(np.float32)
    logits = logits.repeat(4, axis=1).repeat(4, axis=2)
    margin = ((0, 0), (0, height - logits.shape[1]), (0, width - logits.shape[2]), (0, 0))
    logits = np.pad(logits, margin, mode="edge")
    weight = reference[f"{case}/target/semantic_loss_weight"]
    ours = loss(logits, category[None], weight[None], channels=tuple(range(134)), top_k_fraction=0.2)
    np.testing.assert_allclose(ours, reference[f"{case}/loss/semantic_loss"], rtol=1e-5)


def test_equal_logits_cost_the_logarithm_of_their_number():
    np.testing.assert_allclose(loss(np.zeros((1, 2, 2, 2)), [[[1, 2], [2, 1]]]), [np.log(2)], rtol=1e-6)


def test_only_the_hardest_share_of_the_pixels_counts():
    # Cross entropies of a right, an even and a wrong answer, twice the easy one: the hardest of 4 is 20.
    logits = [[[[20, 0], [20, 0]], [[0, 0], [0, 20]]]]
    np.testing.assert_allclose(loss(logits, np.ones((1, 2, 2)), top_k_fraction=0.25), [20], rtol=1e-6)


def test_channels_say_which_category_a_logit_is_of():
    logits = np.array([[[[30.0, 0.0, 0.0]]]])
    assert loss(logits, [[[7]]], channels=(7, 0, 3)) == pytest.approx(0, abs=1e-6)
    assert loss(logits, [[[3]]], channels=(7, 0, 3)) == pytest.approx(30)


@pytest.mark.parametrize("ignored", [0, 5, 900])
def test_void_and_categories_without_a_channel_are_ignored(ignored):
    logits = np.random.default_rng(0).normal(size=(1, 1, 2, 3))
    category = np.array([[[1, ignored]]])
    alone = loss(logits[:, :, :1], category[:, :, :1], channels=(0, 1, 2))
    np.testing.assert_allclose(loss(logits, category, channels=(0, 1, 2)), alone, rtol=1e-6)


def test_an_image_of_void_alone_costs_nothing():
    assert loss(np.random.default_rng(0).normal(size=(1, 4, 4, 2)), np.zeros((1, 4, 4))) == 0


def test_extreme_logits_stay_finite():
    assert np.isfinite(loss([[[[1e30, -1e30], [-1e30, 1e30]]]], [[[1, 1]]])).all()


def test_the_loss_of_a_batch_is_the_losses_of_its_images():
    random = np.random.default_rng(3)
    logits, category = random.normal(size=(2, 5, 6, 4)), random.integers(0, 5, (2, 5, 6))
    together = loss(logits, category, channels=(1, 2, 3, 4), top_k_fraction=0.3)
    alone = [loss(logits[i : i + 1], category[i : i + 1], channels=(1, 2, 3, 4), top_k_fraction=0.3)[0] for i in (0, 1)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_the_loss_is_computed_in_float32_from_bfloat16_logits():
    import keras

    logits = keras.ops.cast(np.zeros((1, 1, 1, 2), np.float32), "bfloat16")
    value = hard_pixel_cross_entropy(logits, np.ones((1, 1, 1), np.int32), np.ones((1, 1, 1)), (1, 2), 1.0)
    assert keras.backend.standardize_dtype(value.dtype) == "float32" and float(value[0]) == pytest.approx(np.log(2))


def test_channels_must_fit_the_logits():
    with pytest.raises(ValueError, match="channels name 3"):
        loss(np.zeros((1, 1, 1, 2)), [[[1]]], channels=(1, 2, 3))


def test_sizes_known_only_when_run_give_the_same_loss():
    import tensorflow as tf

    random = np.random.default_rng(3)
    logits, category = random.normal(size=(2, 5, 6, 2)).astype(np.float32), random.integers(0, 3, (2, 5, 6))
    traced = tf.function(
        lambda logits, category: hard_pixel_cross_entropy(logits, category, tf.ones_like(category), (1, 2), 0.3),
        input_signature=[tf.TensorSpec([None, None, None, 2]), tf.TensorSpec([None, None, None], tf.int32)],
    )
    np.testing.assert_allclose(
        traced(logits, category.astype(np.int32)), loss(logits, category, top_k_fraction=0.3), rtol=1e-6
    )
