import numpy as np
import tensorflow as tf

from tfpanoptic.ops.boxes import clip_boxes, decode_boxes
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.proposals import propose

VALID = np.array([[50, 60], [64, 64]], "int32")


def levels(seed=0, counts=(80, 20, 5)):
    rng = np.random.default_rng(seed)
    logits = [rng.normal(size=(2, n)).astype("float32") for n in counts]
    deltas = [rng.normal(size=(2, n, 4)).astype("float32") * 0.3 for n in counts]
    anchors = []
    for size, n in zip((8, 16, 32), counts, strict=True):
        middle = rng.uniform(0, 64, (n, 2))
        anchors.append(np.concatenate([middle - size / 2, middle + size / 2], axis=1).astype("float32"))
    return logits, deltas, anchors


def slow_proposals(logits, deltas, anchors, image, per_level, count, overlap):
    """Level by level with TensorFlow's one-by-one suppression."""
    found = []
    for scores, shifts, references in zip(logits, deltas, anchors, strict=True):
        order = np.argsort(-scores[image])[:per_level]
        boxes = decode_boxes(shifts[image][order], references[order])
        boxes = np.asarray(clip_boxes(boxes[None], VALID[image : image + 1]))[0]
        has_area = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).nonzero()[0]
        order, boxes = order[has_area], boxes[has_area]
        kept = tf.image.non_max_suppression(boxes, scores[image][order], len(order), overlap).numpy()
        found += [(scores[image][order[k]], boxes[k]) for k in kept]
    found.sort(key=lambda pair: -pair[0])
    return found[:count]


def test_the_best_of_each_level_are_suppressed_within_it_and_joined():
    logits, deltas, anchors = levels()
    boxes, scores = propose(logits, deltas, anchors, VALID, per_level=40, count=25, overlap=0.4)
    assert boxes.shape == (2, 25, 4)
    for image in range(2):
        expected = slow_proposals(logits, deltas, anchors, image, 40, 25, 0.4)
        np.testing.assert_allclose(scores[image], [score for score, _ in expected])
        np.testing.assert_allclose(boxes[image], [box for _, box in expected], atol=1e-4)


def test_empty_places_hold_no_box():
    logits, deltas, anchors = levels(counts=(3, 2, 1))
    boxes, scores = (np.asarray(values) for values in propose(logits, deltas, anchors, VALID, 40, 10, 1.0))
    assert ((scores > LOWEST).sum(1) <= 6).all() and (scores > LOWEST).any(1).all()
    assert not boxes[scores == LOWEST].any()


def test_a_box_outside_of_the_image_is_no_proposal():
    anchors = [np.array([(10, 70, 20, 80), (10, 10, 20, 20)], "float32")]  # the first beyond the 60 columns of image 0
    logits, deltas = [np.array([[5.0, 1.0]] * 2, "float32")], [np.zeros((2, 2, 4), "float32")]
    boxes, scores = propose(logits, deltas, anchors, VALID, 10, 2, 0.7)
    assert np.asarray(scores)[0].tolist() == [1.0, np.float32(LOWEST)]
    np.testing.assert_array_equal(boxes[0, 0], (10, 10, 20, 20))


def test_no_gradient_flows_through_proposals():
    logits, deltas, anchors = levels()
    deltas = [tf.constant(values) for values in deltas]
    with tf.GradientTape() as tape:
        tape.watch(deltas)
        boxes, _ = propose(logits, deltas, anchors, VALID, 40, 25, 0.4)
        total = tf.reduce_sum(boxes)
    assert tape.gradient(total, deltas) == [None] * 3


def test_it_is_the_same_under_xla():
    logits, deltas, anchors = levels()
    compiled = tf.function(lambda *inputs: propose(*inputs, anchors, VALID, 40, 25, 0.4), jit_compile=True)
    for ours, theirs in zip(
        compiled(logits, deltas), propose(logits, deltas, anchors, VALID, 40, 25, 0.4), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
