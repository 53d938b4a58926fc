import numpy as np
import pytest

from tests.fixtures.upsnet.scene import ORDERS, STORED, detections, in_order
from tfpanoptic.postprocess.instance_logits import best_instance


def stored_instances(channels):
    """`BestInstance` of the stored scene as arrays, without the batch."""
    scene = detections()
    scene["semantic_logits"] = in_order(scene["semantic_logits"], channels)
    valid = np.ones((1, 64, 96), bool)
    inputs = (scene[name] for name in ("semantic_logits", "boxes", "box_category", "mask_logits"))
    return [np.asarray(part)[0] for part in best_instance(*inputs, valid, channels, 0.3)]


@pytest.mark.parametrize("order", ORDERS)
def test_the_best_instance_of_the_stored_scene(order):
    place, logit, semantic_part = stored_instances(ORDERS[order])
    expected = STORED["inference/instance_logits"]
    np.testing.assert_allclose(logit, expected.max(axis=0), atol=2e-5)
    best_first = np.argsort(-STORED["inference/scores"])
    kept = [best_first.tolist().index(detection) for detection in STORED["inference/kept"]]
    np.testing.assert_array_equal(place, np.array(kept)[expected.argmax(axis=0)])
    largest = (expected - STORED["inference/pasted_mask_logits"]).max(axis=0)
    np.testing.assert_allclose(semantic_part, largest, atol=2e-5)


def row(boxes, categories, masks=None, width=12, valid=None, removal_overlap=0.3, semantic=None):
    """The best instances of one row of pixels: boxes are (first, last) pixels, masks 1 inside unless given."""
    boxes = np.array([[[0, first, 1, last + 1] for first, last in boxes]], np.float32)
    masks = np.ones(len(categories)) if masks is None else np.array(masks)
    mask_logits = np.broadcast_to(masks.astype(np.float32)[None, :, None, None], (1, len(categories), 4, 4))
    semantic = np.zeros((1, 1, width, 3), np.float32) if semantic is None else semantic
    valid = np.arange(width)[None, None] < (valid or width)
    made = best_instance(
        semantic, boxes, np.array([categories], np.int32), mask_logits, valid, (3, 1, 2), removal_overlap
    )
    return [np.asarray(part)[0, 0] for part in made]


def kept(*arguments, **options):
    """Places that win a pixel with a positive logit."""
    place, logit, _ = row(*arguments, **options)
    return sorted(set(place[logit > 0].tolist()))


def test_a_mask_is_removed_where_too_much_of_it_is_occupied_by_its_class():
    # The second has 5 pixels, 2 of them occupied: 0.4.
    assert kept([(0, 4), (3, 7)], [1, 1]) == [0]
    assert kept([(0, 4), (3, 7)], [1, 1], removal_overlap=0.4) == [0, 1]


def test_masks_of_another_class_do_not_remove():
    assert kept([(0, 4), (3, 7)], [2, 1], masks=[1, 2]) == [0, 1]


def test_removed_masks_occupy_nothing():
    # The second goes for its overlap with the first; the third overlaps only the second.
    assert kept([(0, 5), (3, 7), (6, 8)], [1, 1, 1]) == [0, 2]


def test_classes_do_not_share_what_they_occupy():
    # Of class 2 first, of class 1 second: class 1 is gone through first, and must leave nothing to class 2.
    assert kept([(0, 4), (0, 4), (6, 9)], [2, 1, 2], masks=[2, 1, 1]) == [0, 2]


def test_an_empty_mask_is_removed():
    place, logit, part = row([(0, 4)], [1], masks=[-1])
    assert (place == -1).all() and (logit < -1e20).all() and (part < -1e20).all()


def test_masks_have_no_pixels_outside_the_valid_part():
    assert kept([(6, 9)], [1], valid=6) == []


def test_empty_places_are_no_instances():
    assert kept([(0, 4), (6, 9)], [1, 0]) == [0]
    place, _, _ = row([(0, 4)], [0])
    assert (place == -1).all()


def test_outside_its_box_an_instance_has_zero():
    semantic = np.zeros((1, 1, 12, 3), np.float32)
    semantic[..., 1] = -5
    place, logit, part = row([(0, 4), (6, 9)], [1, 1], semantic=semantic)
    # Inside a box, -5 + 1 of one and 0 of the other; in neither, 0 of both, and the first counts.
    np.testing.assert_array_equal(logit, np.zeros(12))
    np.testing.assert_array_equal(place, [1, 1, 1, 1, 1, *[0] * 7])
    np.testing.assert_array_equal(part, np.zeros(12))


def test_of_equal_logits_the_better_detection_counts_whatever_its_class():
    place, _, _ = row([(0, 4), (0, 4)], [2, 1])
    assert (place == 0).all()


def test_semantic_logits_are_enlarged_with_half_pixel_centres():
    semantic = np.zeros((1, 1, 2, 3), np.float32)
    semantic[0, 0, :, 2] = [0, 4]
    _, logit, part = row([(0, 3)], [2], width=4, semantic=semantic)
    np.testing.assert_allclose(part, [0, 1, 3, 4], atol=1e-6)
    np.testing.assert_allclose(logit, [1, 2, 4, 5], atol=1e-6)
