import numpy as np
import pytest
import tensorflow as tf

from tests.fixtures.upsnet.scene import (
    CHANNELS,
    ORDERS,
    SEMANTIC_LOGITS,
    STORED,
    boxes,
    category_of_channel,
    in_order,
    truth,
)
from tfpanoptic.losses.roi_semantic import roi_categories, roi_semantic_count, roi_semantic_loss

EXISTS = np.ones((1, 6), bool)


def slow_sample(values, at):
    """RoIAlign's sample along the first two axes: 0 beyond one cell outside, else cut to the map, bilinear."""
    if any(not -1 <= place <= length for place, length in zip(at, values.shape, strict=False)):
        return np.zeros(values.shape[2:])
    for place, length in zip(at, values.shape[:2], strict=True):
        place = min(max(place, 0), length - 1)
        first = int(place)
        second, share = min(first + 1, length - 1), place - first
        values = values[first] * (1 - share) + values[second] * share
    return values


def slow_roi_align(values, corners, side=28, samples=2):
    """float64 [N, side, side, K]: means of 2 x 2 samples of each cell, without a half-pixel shift, sides at least 1."""
    aligned = np.zeros((len(corners), side, side, values.shape[-1]))
    for box, (x0, y0, x1, y1) in enumerate(corners.astype(float)):
        height, width = max(y1 - y0, 1.0), max(x1 - x0, 1.0)
        for i, j in np.ndindex(side * samples, side * samples):
            at = y0 + (i + 0.5) * height / (side * samples), x0 + (j + 0.5) * width / (side * samples)
            aligned[box, i // samples, j // samples] += slow_sample(values, at) / samples**2
    return aligned


@pytest.fixture(scope="module")
def scores():
    """Semantic logits aligned to the stored boxes, [1, 6, 28, 28, 9]."""
    return slow_roi_align(SEMANTIC_LOGITS[0], STORED["training/boxes"] / 4)[None].astype(np.float32)


def test_the_aligned_logits_are_the_stored_ones(scores):
    expected = STORED["training/roi_logits"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(scores[0, :, ::4, ::4], expected, atol=2e-5)


def test_the_categories_of_the_stored_boxes():
    found = roi_categories(truth()["semantic"], boxes("training"), 28)[0]
    np.testing.assert_array_equal(found, category_of_channel(STORED["training/roi_target"]))


@pytest.mark.parametrize("order", ORDERS)
def test_the_loss_of_the_stored_scene(scores, order):
    channels = ORDERS[order]
    total = roi_semantic_loss(in_order(scores, channels), truth()["semantic"], boxes("training"), EXISTS, channels)
    np.testing.assert_allclose(total / roi_semantic_count(EXISTS), [STORED["training/loss/fcn_roi"]], rtol=1e-5)


def test_a_crop_ends_before_the_rounded_last_pixel():
    semantic = np.arange(48, dtype=np.int32).reshape(1, 6, 8)
    # Last pixels (3.6, 5.5) after (1.4, 2.5): rows 1..3, columns 2..5 (halves go to 2 and 6); 6 cells over 3 and 4.
    found = roi_categories(semantic, np.array([[[1.4, 2.5, 4.6, 6.5]]], np.float32), 6)[0, 0].numpy()
    rows, columns = [1, 1, 2, 2, 3, 3], [2, 2, 3, 4, 4, 5]
    np.testing.assert_array_equal(found, semantic[0][np.ix_(rows, columns)])


def test_a_crop_has_at_least_one_pixel_and_stays_inside():
    semantic = np.arange(48, dtype=np.int32).reshape(1, 6, 8)
    found = roi_categories(semantic, np.array([[[2, 3, 3, 4], [4, 6, 90, 90]]], np.float32), 2)[0].numpy()
    np.testing.assert_array_equal(found[0], [[19, 19], [19, 19]])
    assert found[1].tolist() == [[38, 39], [46, 47]]  # cells at 4 and 46, and at 6 and 47, cut to the map


def plain(scores, semantic, exists=((True, True),)):
    whole = np.array([[[0, 0, 3, 3], [0, 0, 3, 3]]], np.float32)
    return roi_semantic_loss(
        np.asarray(scores, np.float32), np.asarray(semantic, np.int32), whole, np.asarray(exists), (3, 1)
    )


def test_void_and_empty_places_do_not_count():
    semantic = [[[3, 0, 3], [0, 9, 3], [3, 3, 3]]]  # the crop is the first 2 x 2: grass, void, void, no channel
    scores = np.zeros((1, 2, 2, 2, 2))
    np.testing.assert_allclose(plain(scores, semantic), [2 * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(plain(scores, semantic, [[True, False]]), [np.log(2)], rtol=1e-6)
    np.testing.assert_array_equal(plain(scores, semantic, [[False, False]]), [0])
    np.testing.assert_array_equal(roi_semantic_count(np.array([[True, False], [False, False]]), 2), [4, 0])


def test_a_right_answer_costs_nothing_and_extreme_scores_stay_finite():
    semantic = np.full((1, 3, 3), 1)
    scores = np.tile(np.array([-1e30, 1e30], np.float32), (1, 2, 2, 2, 1))
    np.testing.assert_array_equal(plain(scores, semantic), [0])
    assert np.isfinite(plain(-scores, semantic)).all()


def test_the_loss_of_a_batch_is_the_losses_of_its_images():
    random = np.random.default_rng(0)
    scores, semantic = random.normal(size=(2, 2, 2, 2, 2)), random.choice([0, 1, 3], (2, 3, 3))
    whole = np.tile(np.array([[[0, 0, 3, 3], [1, 1, 3, 3]]], np.float32), (2, 1, 1))
    exists = np.array([[True, True], [False, True]])

    def of(images):
        return roi_semantic_loss(
            scores[images].astype(np.float32), semantic[images].astype(np.int32), whole[images], exists[images], (3, 1)
        )

    np.testing.assert_allclose(of([0, 1]), [*of([0]), *of([1])], rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_sizes_known_only_when_run_and_xla_give_the_same_loss(scores, compiled):
    traced = tf.function(
        lambda *inputs: roi_semantic_loss(*inputs, CHANNELS),
        input_signature=[
            tf.TensorSpec([None, None, 28, 28, 9]),
            tf.TensorSpec([None, None, None], tf.int32),
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None], tf.bool),
        ],
        jit_compile=compiled,
    )
    inputs = scores, truth()["semantic"], boxes("training"), EXISTS
    np.testing.assert_allclose(traced(*inputs), roi_semantic_loss(*inputs, CHANNELS), rtol=1e-5)
