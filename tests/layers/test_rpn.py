import keras
import numpy as np
import tensorflow as tf

from tfpanoptic.layers.rpn import Proposals, RPNHead, SampleAnchors, target_deltas
from tfpanoptic.ops.boxes import encode_boxes

STRIDES, SIZES, RATIOS = (4, 8), (8.0, 16.0), (0.5, 1.0, 2.0)
SEED = np.array([[1, 2], [3, 4]], "int32")
BOXES = np.array([[(2, 2, 10, 10), (16, 8, 30, 26), (0, 0, 0, 0)], [(0, 0, 0, 0)] * 3], "float32")
CATEGORY = np.array([[1, 2, 0], [0, 0, 0]], "int32")


def levels(depth=5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2, 32 // stride, 40 // stride, depth)).astype("float32") for stride in STRIDES]


def test_all_levels_share_the_weights():
    head = RPNHead(8, 3, name="rpn")
    logits, deltas = head(levels())
    assert [tuple(x.shape) for x in logits] == [(2, 8, 10, 3), (2, 4, 5, 3)]
    assert [tuple(x.shape) for x in deltas] == [(2, 8, 10, 12), (2, 4, 5, 12)]
    assert {weight.path for weight in head.weights} == {
        f"rpn/{name}/{leaf}" for name in ("conv", "objectness", "deltas") for leaf in ("kernel", "bias")
    }
    alone, _ = head([levels()[1]])
    np.testing.assert_allclose(alone[0], logits[1], atol=1e-6)


def test_proposals_of_a_silent_head_are_its_best_anchors():
    head = Proposals(STRIDES, SIZES, RATIOS, 50, 4, 0.7, name="proposals")
    logits = [np.zeros((2, 8, 10, 3), "float32"), np.zeros((2, 4, 5, 3), "float32")]
    deltas = [np.zeros((2, 8, 10, 12), "float32"), np.zeros((2, 4, 5, 12), "float32")]
    logits[0][:, 4, 5, 1] = 3.0  # the square anchor of 8 about (16, 20)
    logits[1][:, 2, 2, 0] = 2.0  # 8 x 32 over 2 ** .5 about (16, 16)
    boxes, scores = head(logits, deltas, np.array([[32, 40]] * 2, "int32"))
    np.testing.assert_allclose(scores[:, :2], [[3, 2]] * 2)
    np.testing.assert_allclose(boxes[0, 0], (12, 16, 20, 24))
    half = 8 / 2**0.5
    np.testing.assert_allclose(boxes[0, 1], (16 - half, 16 - 2 * half, 16 + half, 16 + 2 * half), rtol=1e-5)


def test_sampled_anchors_come_with_what_the_head_says_and_should_say():
    layer = SampleAnchors(STRIDES, SIZES, RATIOS, 24, 0.5, 0.7, 0.3, draw=0, name="sample")
    head = RPNHead(8, 3, name="rpn")
    logits, deltas = head(levels())
    found = {name: np.asarray(value) for name, value in layer(logits, deltas, BOXES, CATEGORY, SEED).items()}
    assert found["anchor_label"].shape == (2, 24) and (found["anchor_label"][0] == 1).any()
    # An image without boxes has negatives alone.
    assert (found["anchor_label"][1] == 0).all() and not found["anchor_targets"][1].any()
    flat = np.concatenate([np.asarray(x).reshape(2, -1) for x in logits], axis=1)
    assert set(found["anchor_logits"][0]) <= set(flat[0])
    assert not found["anchor_targets"][found["anchor_label"] != 1].any()
    # The best anchor of the second box, centre (23, 17) and 14 x 18, is the square of 16 about (24, 16).
    expected = np.array(((23 - 24) / 16, (17 - 16) / 16, np.log(14 / 16), np.log(18 / 16)), "float32")
    positive = found["anchor_targets"][0][found["anchor_label"][0] == 1]
    assert np.abs(positive - expected).sum(1).min() < 1e-5


def test_target_deltas_lead_from_the_reference_to_its_box():
    references = np.array([[(0, 0, 8, 8), (16, 8, 32, 24), (0, 0, 0, 0)]], "float32")
    place = np.array([[0, 1, 0]], "int32")
    index = np.array([[0, 1, 2]], "int32")
    positive = np.array([[True, True, False]])
    found = target_deltas(references, BOXES[:1], place, index, positive)
    np.testing.assert_allclose(found[0, :2], encode_boxes(BOXES[0, :2], references[0, :2]), rtol=1e-6)
    assert not np.asarray(found)[0, 2].any()


def test_every_weight_of_the_head_receives_a_gradient_through_the_sample():
    head = RPNHead(8, 3, name="rpn")
    layer = SampleAnchors(STRIDES, SIZES, RATIOS, 24, 0.5, 0.7, 0.3, draw=0, name="sample")
    with tf.GradientTape() as tape:
        found = layer(*head(levels()), BOXES, CATEGORY, SEED)
        total = tf.reduce_sum(found["anchor_logits"] ** 2) + tf.reduce_sum(found["anchor_deltas"] ** 2)
    gradients = tape.gradient(total, [weight.value for weight in head.trainable_weights])
    for weight, gradient in zip(head.trainable_weights, gradients, strict=True):
        assert gradient is not None and tf.reduce_any(gradient != 0), weight.path


def test_declared_outputs_are_the_actual_ones():
    sample = SampleAnchors(STRIDES, SIZES, RATIOS, 24, 0.5, 0.7, 0.3, draw=0, name="sample")
    proposals = Proposals(STRIDES, SIZES, RATIOS, 50, 4, 0.7, name="proposals")
    logits, deltas = RPNHead(8, 3, name="rpn")(levels())
    for layer, inputs in (
        (sample, (logits, deltas, BOXES, CATEGORY, SEED)),
        (proposals, (logits, deltas, np.array([[32, 40]] * 2, "int32"))),
    ):
        symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, dtype=str(np.asarray(x).dtype)), inputs)
        declared, actual = keras.tree.flatten(layer(*symbols)), keras.tree.flatten(layer(*inputs))
        for one, other in zip(declared, actual, strict=True):
            assert tuple(one.shape) == tuple(other.shape) and one.dtype == other.dtype.name
