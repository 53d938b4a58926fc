import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.detections import detect_by_class, detect_over_classes, drop_detections


def scene(seed=0, batch=2, regions=30, classes=4):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 30, (batch, regions, 1, 2)) + rng.uniform(0, 4, (batch, regions, classes, 2))
    boxes = np.concatenate([low, low + rng.uniform(6, 14, (batch, regions, classes, 2))], axis=-1)
    scores = rng.dirichlet(np.ones(classes + 1) * 0.4, (batch, regions))[..., :classes]
    return boxes.astype("float32"), scores.astype("float32")


def slow_detections(boxes, scores, count, score, overlap):
    """Class by class with TensorFlow's one-by-one suppression, then the best of all."""
    found = []
    for index in range(scores.shape[-1]):
        rows = np.flatnonzero(scores[:, index] > score)
        kept = tf.image.non_max_suppression(boxes[rows, index], scores[rows, index], len(rows), overlap).numpy()
        found += [(scores[rows[k], index], index, boxes[rows[k], index]) for k in kept]
    found.sort(key=lambda entry: -entry[0])
    return found[:count]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [5, 200])
def test_boxes_of_a_class_suppress_each_other(seed, count):
    boxes, scores = scene(seed)
    found = detect_by_class(boxes, scores, count, 0.05, 0.5)
    for image in range(2):
        expected = slow_detections(boxes[image], scores[image], count, 0.05, 0.5)
        number = len(expected)
        np.testing.assert_array_equal(found.scores[image][:number], [entry[0] for entry in expected])
        np.testing.assert_array_equal(found.index[image][:number], [entry[1] for entry in expected])
        np.testing.assert_array_equal(found.boxes[image][:number], [entry[2] for entry in expected])
        assert not np.any(found.scores[image][number:]) and not np.any(found.boxes[image][number:])


def test_boxes_of_different_classes_suppress_each_other_over_classes():
    box, other = (0, 0, 10, 10), (20, 20, 30, 30)
    boxes = np.array([[[box, box], [box, box], [other, other]]], "float32")
    scores = np.array([[[0.6, 0.3], [0.1, 0.8], [0.0, 0.7]]], "float32")
    over = detect_over_classes(boxes, scores, 3, 0.5, 0.5)
    assert np.round(over.scores[0], 3).tolist() == np.float32([0.8, 0.7, 0.0]).tolist()
    assert np.asarray(over.index)[0].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(over.boxes[0], (box, other, (0, 0, 0, 0)))
    by_class = detect_by_class(boxes, scores, 4, 0.5, 0.5)
    assert np.asarray(by_class.index)[0].tolist() == [1, 1, 0, 0]
    assert np.round(by_class.scores[0], 3).tolist() == np.float32([0.8, 0.7, 0.6, 0.0]).tolist()


@pytest.mark.parametrize("detect", [detect_by_class, detect_over_classes])
def test_an_image_without_candidates_has_no_detection(detect):
    boxes, scores = scene()
    scores[1] = 0.01
    found = detect(boxes, scores, 6, 0.05, 0.5)
    assert np.asarray(found.scores)[0].any() and not np.asarray(found.scores)[1].any()
    assert not np.asarray(found.boxes)[1].any() and not np.asarray(found.index)[1].any()


@pytest.mark.parametrize("detect", [detect_by_class, detect_over_classes])
def test_they_are_the_same_under_xla(detect):
    boxes, scores = scene(7)
    compiled = tf.function(lambda *inputs: detect(*inputs, 12, 0.05, 0.5), jit_compile=True)
    for ours, theirs in zip(compiled(boxes, scores), detect(boxes, scores, 12, 0.05, 0.5), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_box_without_area_is_taken_once():
    boxes, scores = np.zeros((1, 1, 1, 4), "float32"), np.array([[[0.9]]], "float32")
    assert np.asarray(detect_by_class(boxes, scores, 3, 0.05, 0.5).scores)[0].tolist() == [np.float32(0.9), 0, 0]


@pytest.mark.parametrize("detect", [detect_by_class, detect_over_classes])
@pytest.mark.parametrize("count", [5, 40])
def test_detections_above_a_score_are_those_that_a_lower_score_finds(detect, count):
    boxes, scores = scene()
    low, high = (detect(boxes, scores, count, score, 0.5) for score in (0.05, 0.6))
    category = np.where(np.asarray(low.scores) > 0, np.asarray(low.index) + 1, 0)
    left = drop_detections({"scores": low.scores, "box_category": category, "boxes": low.boxes}, 0.6)
    stays = np.asarray(high.scores) > 0
    assert stays.any() and (count == 5 or stays.sum() < (category > 0).sum())
    np.testing.assert_array_equal(left["scores"], high.scores)
    np.testing.assert_array_equal(left["box_category"], np.where(stays, np.asarray(high.index) + 1, 0))
    np.testing.assert_array_equal(np.asarray(left["boxes"])[stays], np.asarray(high.boxes)[stays])
