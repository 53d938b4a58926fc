"""The box and the mask head of Mask R-CNN."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.test_layer_rules import keras_policy
from tfpanoptic.layers.box_head import BoxHead, DetectInstances, SampleRegions
from tfpanoptic.layers.mask_head import MaskHead
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.roi_align import roi_align

STRIDES = (4, 8)
SEED = np.array([[1, 2], [3, 4]], "int32")
BOXES = np.array([[(2, 2, 20, 14), (16, 8, 30, 26), (0, 0, 0, 0)], [(0, 0, 0, 0)] * 3], "float32")
CATEGORY = np.array([[4, 7, 0], [0, 0, 0]], "int32")


def levels(depth=5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2, 32 // stride, 40 // stride, depth)).astype("float32") for stride in STRIDES]


def box_head(**options):
    return BoxHead(STRIDES, 6, outputs=3, classes=2, name="box_head", **options)


def mask_head(convs=1):
    return MaskHead(STRIDES, 6, convs, classes=2, name="mask_head")


def test_the_box_head_says_a_class_and_deltas_for_each_of_them():
    logits, deltas = box_head()(levels(), BOXES)
    assert logits.shape == (2, 3, 3) and deltas.shape == (2, 3, 2, 4)


def test_the_box_head_is_two_layers_on_the_pooled_features():
    head = box_head()
    logits, _ = head(levels(), BOXES)
    x = np.asarray(roi_align(levels(), STRIDES, BOXES, 7)).reshape(2, 3, -1)
    for layer in (head.fc1, head.fc2):
        x = np.maximum(x @ np.asarray(layer.kernel) + np.asarray(layer.bias), 0)
    expected = x @ np.asarray(head.logits.kernel) + np.asarray(head.logits.bias)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_masks_are_twice_as_large_as_the_features_and_of_the_class_asked_for():
    head = mask_head()
    index = np.array([[0, 1, 0], [1, 1, 0]], "int32")
    masks = head(levels(), BOXES, index)
    assert masks.shape == (2, 3, 28, 28)
    zeros, ones = (head(levels(), BOXES, np.full((2, 3), value, "int32")) for value in (0, 1))
    expected = np.where(index[..., None, None] == 0, zeros, ones)
    np.testing.assert_allclose(masks, expected, atol=1e-6)


@pytest.mark.parametrize("count", [3, 40])
def test_wanted_masks_are_those_of_the_whole_and_others_are_zero(count):
    head = mask_head()
    rng = np.random.default_rng(2)
    low = rng.uniform(0, 20, (2, count, 2))
    boxes = np.concatenate([low, low + rng.uniform(2, 15, (2, count, 2))], axis=-1).astype("float32")
    index = rng.integers(0, 2, (2, count)).astype("int32")
    wanted = np.array([min(count, 21), 1], "int32")
    whole, some = np.asarray(head(levels(), boxes, index)), np.asarray(head(levels(), boxes, index, wanted))
    for image in range(2):
        np.testing.assert_allclose(some[image, : wanted[image]], whole[image, : wanted[image]], atol=1e-5)
        assert not some[image, wanted[image] :].any()


def test_no_wanted_mask_is_no_mask():
    found = mask_head()(levels(), BOXES, CATEGORY * 0, np.zeros(2, "int32"))
    assert not np.asarray(found).any()


@pytest.mark.parametrize("make", [box_head, mask_head])
def test_every_weight_and_the_features_receive_a_gradient(make):
    head, maps = make(), [tf.constant(level) for level in levels()]
    extra = (np.array([[0, 1, 0]] * 2, "int32"),) if isinstance(head, MaskHead) else ()
    with tf.GradientTape() as tape:
        tape.watch(maps)
        outputs = tf.nest.flatten(head(maps, BOXES, *extra))
        total = tf.add_n([tf.reduce_sum(output**2) for output in outputs])
    gradients = tape.gradient(total, [*(weight.value for weight in head.trainable_weights), maps[0]])
    assert all(gradient is not None and np.any(gradient) for gradient in gradients)


def test_boxes_keep_their_precision_and_outputs_are_float32_in_mixed_precision():
    with keras_policy("mixed_bfloat16"):
        head = box_head()
        # Both ends are 9.875 in bfloat16.
        near = np.array([[(0, 0, 9.90, 9.90)]] * 2, "float32")
        logits, deltas = head(levels(), near)
        other, _ = head(levels(), np.array([[(0, 0, 9.86, 9.86)]] * 2, "float32"))
        mask = mask_head()(levels(), near, np.zeros((2, 1), "int32"))
    assert {logits.dtype, deltas.dtype, mask.dtype} == {tf.float32}
    assert np.any(np.asarray(logits) != np.asarray(other))


def test_heads_of_a_reloaded_model_say_the_same(tmp_path):
    maps = [keras.Input((None, None, 5)) for _ in STRIDES]
    boxes, index = keras.Input((3, 4)), keras.Input((3,), dtype="int32")
    outputs = [*box_head()(maps, boxes), mask_head()(maps, boxes, index)]
    model, inputs = keras.Model([*maps, boxes, index], outputs), [*levels(), BOXES, np.zeros((2, 3), "int32")]
    model.save(tmp_path / "heads.keras")
    for ours, theirs in zip(keras.models.load_model(tmp_path / "heads.keras")(inputs), model(inputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_true_boxes_are_candidates_and_empty_proposals_are_not():
    sample = SampleRegions(6, 0.5, 0.5, draw=2, name="sample")
    proposals = np.array([[(2, 2, 20, 13), (0, 30, 5, 40), (0, 0, 0, 0)]] * 2, "float32")
    scores = np.array([[1.0, 0.5, LOWEST]] * 2, "float32")
    found = {name: np.asarray(value) for name, value in sample(proposals, scores, BOXES, CATEGORY, SEED).items()}
    # Image 0: the first proposal (11 of 12 columns) and the two true boxes are foreground, one proposal is background.
    assert found["region_category"][0].tolist().count(0) == 1 and sorted(found["region_category"][0])[-3:] == [4, 4, 7]
    assert (found["region_category"][0, 4:] == -1).all()
    taught = found["region_category"][0] > 0
    np.testing.assert_array_equal(CATEGORY[0][found["region_place"][0][taught]], found["region_category"][0][taught])
    # A true box is its own target; the proposal is 11 wide and lacks half a pixel at its middle: 10 * 0.5 / 11.
    targets = found["region_targets"][0][taught]
    assert (np.abs(targets).sum(1) < 1e-6).sum() == 2
    moved = targets[np.abs(targets).sum(1) > 1e-6][0]
    np.testing.assert_allclose(moved, (0, 10 * 0.5 / 11, 0, 5 * np.log(12 / 11)), atol=1e-5)
    # Image 1 has no true box: its proposals are background.
    assert sorted(found["region_category"][1].tolist()) == [-1, -1, -1, -1, 0, 0]


def test_detections_name_the_class_and_are_cut_to_the_image():
    detect = DetectInstances((4, 7, 0), (4, 7), 3, 0.05, 0.5, name="detect")
    proposals = np.array([[(0, 0, 10, 10), (20, 20, 40, 60)]], "float32")
    logits = np.array([[[0, 5, 0], [6, 0, 0]]], "float32")
    deltas = np.zeros((1, 2, 2, 4), "float32")
    deltas[0, 0, 1] = (0, 5, 0, 0)  # half a width to the right
    boxes, scores, index = detect(proposals, np.zeros((1, 2), "float32"), logits, deltas, np.array([[30, 50]], "int32"))
    assert np.asarray(index)[0, :2].tolist() == [0, 1]
    np.testing.assert_allclose(boxes[0, :2], [(20, 20, 30, 50), (0, 5, 10, 15)], atol=1e-5)
    np.testing.assert_allclose(scores[0], [np.exp(6) / (np.exp(6) + 2), np.exp(5) / (np.exp(5) + 2), 0], rtol=1e-5)
