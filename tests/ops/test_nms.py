import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.nms import keep_greedily, suppress


def random_boxes(seed, batch=2, count=60):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 40, (batch, count, 2))
    return np.concatenate([low, low + rng.uniform(2, 25, (batch, count, 2))], axis=-1).astype("float32")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_what_stays_is_what_tensorflow_chooses_one_by_one(seed, threshold):
    boxes = random_boxes(seed)
    keep = np.asarray(suppress(boxes, np.ones(boxes.shape[:2], bool), threshold))
    scores = np.arange(boxes.shape[1], 0, -1).astype("float32")
    for image in range(len(boxes)):
        chosen = tf.image.non_max_suppression(boxes[image], scores, len(scores), threshold).numpy()
        np.testing.assert_array_equal(np.flatnonzero(keep[image]), np.sort(chosen))


def test_a_suppressed_box_suppresses_nothing():
    # A chain: each overlaps the next by 3 / 5, and the one after that by 1 / 7. The second goes, so the third stays.
    boxes = np.array([[(0, 0, 1, 4), (0, 1, 1, 5), (0, 2, 1, 6), (0, 3, 1, 7)]], "float32")
    assert np.asarray(suppress(boxes, np.ones((1, 4), bool), 0.5)).tolist() == [[True, False, True, False]]


def test_equality_with_the_threshold_does_not_suppress():
    boxes = np.array([[(0, 0, 2, 2), (0, 0, 1, 2)]], "float32")  # 2 of 4
    assert np.asarray(suppress(boxes, np.ones((1, 2), bool), 0.5)).tolist() == [[True, True]]


def test_what_does_not_exist_neither_stays_nor_suppresses():
    boxes = np.array([[(0, 0, 2, 2), (0, 0, 2, 2), (5, 5, 6, 6)]], "float32")
    keep = suppress(boxes, np.array([[False, True, False]]), 0.5)
    assert np.asarray(keep).tolist() == [[False, True, False]]


def test_it_is_the_same_under_xla():
    boxes = random_boxes(1)
    compiled = tf.function(lambda b: suppress(b, tf.ones(b.shape[:2], tf.bool), 0.4), jit_compile=True)
    np.testing.assert_array_equal(compiled(boxes), suppress(boxes, np.ones(boxes.shape[:2], bool), 0.4))


def test_rejecting_need_not_be_mutual():
    # The first rejects the second alone; the third, which comes too late, would reject the first.
    rejects = np.zeros((1, 3, 3), bool)
    rejects[0, 1, 0] = rejects[0, 0, 2] = rejects[0, 2, 1] = True
    assert np.asarray(keep_greedily(rejects, np.ones((1, 3), bool))).tolist() == [[True, False, True]]
