"""Merging of Panoptic FPN, on scenes drawn by hand: masks of whole boxes, stuff by columns."""

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.panoptic_map import encode
from tfpanoptic.postprocess.merge_instances import panoptic_fpn_postprocess

# Things 1 and 2, stuff 3 and 4; the first channel stands for all things.
CHANNELS, STUFF, CATEGORIES = (0, 3, 4), (3, 4), 4
SIZE = (8, 16)


def outputs(*detections, channel=1, mask=None):
    """A batch of one: detections (score, category, box), and semantic logits for one channel everywhere."""
    places = 5
    scores, category = np.zeros((1, places), "float32"), np.zeros((1, places), "int32")
    boxes = np.zeros((1, places, 4), "float32")
    for row, (score, name, box) in enumerate(detections):
        scores[0, row], category[0, row], boxes[0, row] = score, name, box
    logits = np.zeros((1, 2, 4, 3), "float32")
    logits[..., channel] = 4.0
    masks = np.full((1, places, 28, 28), 9.0, "float32") if mask is None else mask
    return {
        "semantic_logits": logits,
        "scores": scores,
        "box_category": category,
        "boxes": boxes,
        "mask_logits": masks,
    }


def merge(made, valid=SIZE, **settings):
    options = {"instance_score": 0.5, "overlap": 0.5, "stuff_area": 1, **settings}
    return panoptic_fpn_postprocess(made, SIZE, np.array([valid], "int32"), CHANNELS, STUFF, CATEGORIES, **options)


def panoptic(segments, image=0):
    labels = np.concatenate([[0], np.asarray(segments.labels)[image]])
    return labels[np.asarray(segments.segment_ids)[image]]


def test_instances_lie_on_stuff_and_have_a_row_each():
    segments = merge(outputs((0.9, 2, (0, 0, 4, 4)), (0.8, 1, (4, 8, 8, 16))))
    expected = np.full(SIZE, encode(3, 0))
    expected[:4, :4], expected[4:, 8:] = encode(2, 1), encode(1, 1)
    np.testing.assert_array_equal(panoptic(segments), expected)
    assert np.asarray(segments.labels).tolist() == [[encode(2, 1), encode(1, 1), 0, 0, 0, encode(3, 0), 0]]
    scores = np.asarray(segments.scores)[0]
    probability = np.exp(4) / (np.exp(4) + 2)
    np.testing.assert_allclose(scores, [0.9, 0.8, 0, 0, 0, probability, 0], rtol=1e-5)


def test_the_better_instance_is_on_top():
    found = panoptic(merge(outputs((0.9, 1, (0, 0, 8, 8)), (0.8, 1, (0, 5, 8, 13)))))
    assert (found[:, :8] == encode(1, 1)).all() and (found[:, 8:13] == encode(1, 2)).all()


@pytest.mark.parametrize(("start", "stays"), [(3, False), (4, True)])
def test_an_instance_goes_when_more_than_half_of_it_is_covered(start, stays):
    # Of the ten columns of the second 9 - start are covered.
    made = outputs((0.9, 1, (0, 0, 8, 9)), (0.8, 2, (0, start, 8, start + 10)))
    assert (encode(2, 1) in panoptic(merge(made))) == stays


def test_an_instance_that_was_dropped_covers_nothing():
    # The second is inside the first and goes; the third overlaps the second alone.
    made = outputs((0.9, 1, (0, 0, 8, 8)), (0.8, 2, (0, 3, 8, 10)), (0.7, 1, (0, 8, 8, 12)))
    found = panoptic(merge(made))
    assert (found[:, 8:12] == encode(1, 2)).all() and encode(2, 1) not in found


def test_scores_below_the_limit_and_empty_places_give_nothing():
    found = panoptic(merge(outputs((0.9, 1, (0, 0, 4, 4)), (0.49, 2, (4, 4, 8, 8)))))
    assert set(np.unique(found)) == {encode(1, 1), encode(3, 0)}


def test_an_instance_without_a_pixel_has_no_row():
    segments = merge(outputs((0.9, 1, (2, 2, 2.2, 2.2)), (0.8, 1, (4, 4, 8, 8))))
    assert np.asarray(segments.labels)[0, :2].tolist() == [0, encode(1, 1)]
    assert np.asarray(segments.scores)[0, 0] == 0


def test_the_channel_of_things_leaves_void_where_no_instance_is():
    found = panoptic(merge(outputs((0.9, 1, (0, 0, 4, 4)), channel=0)))
    assert (found[:4, :4] == encode(1, 1)).all() and found.sum() == 16 * encode(1, 1)


@pytest.mark.parametrize(("limit", "stays"), [(112, True), (113, False)])
def test_stuff_needs_as_many_pixels_as_the_limit_after_instances_took_theirs(limit, stays):
    found = panoptic(merge(outputs((0.9, 1, (0, 0, 4, 4))), stuff_area=limit))  # 128 - 16 are left
    assert (encode(3, 0) in found) == stays


def test_padding_is_void():
    found = panoptic(merge(outputs((0.9, 1, (0, 0, 8, 16))), valid=(5, 7)))
    assert (found[:5, :7] == encode(1, 1)).all() and not found[5:].any() and not found[:, 7:].any()


def test_masks_are_cut_at_one_half():
    mask = np.full((1, 5, 28, 28), 9.0, "float32")
    mask[..., 14:] = -9.0  # the right half
    found = panoptic(merge(outputs((0.9, 1, (0, 0, 8, 16)), mask=mask)))
    assert (found[:, :8] == encode(1, 1)).all() and (found[:, 8:] == encode(3, 0)).all()


def test_data_without_stuff():
    made = outputs((0.9, 1, (0, 0, 4, 4)))
    made["semantic_logits"] = made["semantic_logits"][..., :1]
    segments = panoptic_fpn_postprocess(made, SIZE, np.array([SIZE], "int32"), (0,), (), 2, 0.5, 0.5, 0)
    assert panoptic(segments).sum() == 16 * encode(1, 1) and segments.labels.shape == (1, 5)


def random_batch(seed=0, batch=2, places=6):
    rng = np.random.default_rng(seed)
    low = rng.uniform(-4, 30, (batch, places, 2))
    boxes = np.concatenate([low, low + rng.uniform(3, 25, (batch, places, 2))], axis=-1).astype("float32")
    return {
        "semantic_logits": rng.normal(size=(batch, 10, 12, 3)).astype("float32"),
        "scores": -np.sort(-rng.uniform(0.3, 1, (batch, places)), axis=1).astype("float32"),
        "box_category": rng.integers(0, 3, (batch, places)).astype("int32"),
        "boxes": boxes,
        "mask_logits": rng.normal(1, 2, (batch, places, 28, 28)).astype("float32"),
    }


def merge_random(made, size=(40, 48)):
    valid = np.array([[40, 48], [31, 40]], "int32")[: made["scores"].shape[0]]
    return panoptic_fpn_postprocess(made, size, valid, CHANNELS, STUFF, CATEGORIES, 0.5, 0.5, 20)


def test_images_of_a_batch_do_not_touch_each_other():
    made = random_batch()
    both, alone = merge_random(made), merge_random({name: value[:1] for name, value in made.items()})
    for together, single in zip(both, alone, strict=True):
        np.testing.assert_allclose(together[0], single[0], rtol=1e-5)


def test_segments_are_the_same_under_xla_and_for_unknown_sizes():
    made = random_batch(3)
    expected = merge_random(made)
    compiled = tf.function(merge_random, jit_compile=True, autograph=False)(made)
    spec = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for name, value in made.items()}
    spec["semantic_logits"] = tf.TensorSpec([None, None, None, 3])

    @tf.function(input_signature=[spec, tf.TensorSpec([2], tf.int32)], autograph=False)
    def at_any_size(made, size):
        valid = tf.constant([[40, 48], [31, 40]])
        return panoptic_fpn_postprocess(made, tf.unstack(size), valid, CHANNELS, STUFF, CATEGORIES, 0.5, 0.5, 20)

    for other in (compiled, at_any_size({k: tf.constant(v) for k, v in made.items()}, tf.constant([40, 48]))):
        np.testing.assert_array_equal(other.segment_ids, expected.segment_ids)
        np.testing.assert_array_equal(other.labels, expected.labels)
        np.testing.assert_allclose(other.scores, expected.scores, rtol=1e-5)
