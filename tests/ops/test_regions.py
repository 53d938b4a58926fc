import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.regions import Matches, match_anchors, match_regions, sample_matches

SEED = np.array([[1, 2], [3, 4]], "int32")


def as_array(*rows):
    return np.array(rows, "float32")


def test_anchors_are_positive_negative_or_neither_by_their_overlap():
    box = (0, 0, 10, 10)
    anchors = as_array((0, 0, 10, 10), (0, 0, 10, 8), (0, 0, 10, 5), (0, 0, 10, 2), (50, 50, 60, 60))
    # Overlaps 1, 0.8, 0.5, 0.2, 0.
    matches = match_anchors(anchors, as_array(box)[None], np.array([[True]]))
    assert np.asarray(matches.positive)[0].tolist() == [True, True, False, False, False]
    assert np.asarray(matches.negative)[0].tolist() == [False, False, False, True, True]


def test_the_best_anchors_of_a_box_are_positive_and_keep_their_own_box():
    # The first anchor is the best of the small box (16 of 100), but overlaps the large box more (80 of 120).
    boxes = as_array((0, 0, 4, 4), (0, 2, 10, 12))[None]
    anchors = as_array((0, 0, 10, 10), (90, 90, 99, 99))
    matches = match_anchors(anchors, boxes, np.array([[True, True]]))
    assert np.asarray(matches.positive)[0].tolist() == [True, False]
    assert np.asarray(matches.place)[0, 0] == 1


def test_places_without_a_box_match_nothing():
    boxes = as_array((0, 0, 10, 10), (0, 0, 0, 0))[None]
    anchors = as_array((0, 0, 10, 10), (0, 0, 5, 5))
    matches = match_anchors(anchors, boxes, np.array([[False, False]]))
    assert not np.asarray(matches.positive).any() and np.asarray(matches.negative).all()
    regions = match_regions(anchors[None], np.array([[True, False]]), boxes, np.array([[False, False]]))
    assert np.asarray(regions.negative)[0].tolist() == [True, False] and not np.asarray(regions.positive).any()


def test_regions_are_foreground_from_one_half_on():
    boxes = as_array((0, 0, 10, 10), (20, 20, 30, 30))[None]
    regions = as_array((20, 20, 30, 25), (20, 20, 30, 24), (0, 0, 10, 10))[None]
    matches = match_regions(regions, np.ones((1, 3), bool), boxes, np.ones((1, 2), bool))
    assert np.asarray(matches.positive)[0].tolist() == [True, False, True]
    assert np.asarray(matches.negative)[0].tolist() == [False, True, False]
    assert np.asarray(matches.place)[0].tolist() == [1, 1, 0]


def matches(positive, negative, count=40):
    places = np.arange(count)
    positives = np.stack([places < number for number in positive])
    negatives = np.stack([(places >= 20) & (places < 20 + number) for number in negative])
    return Matches(positives, negatives, np.zeros((len(positive), count), "int32"))


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    # Positives and negatives of a sample of 8 with at most half positive: enough of both; few positives, which
    # negatives fill up; few negatives, which nothing fills up; none at all.
    [(10, 15, (4, 4)), (2, 15, (2, 6)), (10, 1, (4, 1)), (0, 0, (0, 0))],
)
def test_a_sample_holds_as_many_as_it_may(positive, negative, expected):
    index, label = sample_matches(matches([positive] * 2, [negative] * 2), SEED, 8, 0.5, draw=0)
    for image in range(2):
        labels, places = np.asarray(label)[image], np.asarray(index)[image]
        assert ((labels == 1).sum(), (labels == 0).sum()) == expected
        assert (np.diff(np.where(labels == 1, 2, labels)) <= 0).all()  # positive, negative, empty
        assert (places[labels == 1] < positive).all() and len(set(places[labels == 1])) == expected[0]
        assert ((places[labels == 0] >= 20) & (places[labels == 0] < 20 + negative)).all()
        assert len(set(places[labels == 0])) == expected[1]


def test_a_sample_may_have_more_places_than_there_are_candidates():
    index, label = sample_matches(matches([3, 3], [5, 5]), SEED, 100, 1.0, draw=0)
    assert index.shape == (2, 100) and (np.asarray(label) >= 0).sum(1).tolist() == [8, 8]


def test_samples_differ_between_images_and_draws_and_repeat_for_a_seed():
    one, _ = sample_matches(matches([20, 20], [20, 20]), SEED, 16, 0.5, draw=0)
    again, _ = sample_matches(matches([20, 20], [20, 20]), SEED, 16, 0.5, draw=0)
    other, _ = sample_matches(matches([20, 20], [20, 20]), SEED, 16, 0.5, draw=2)
    np.testing.assert_array_equal(one, again)
    assert np.any(np.asarray(one)[0] != np.asarray(one)[1]) and np.any(np.asarray(one) != np.asarray(other))


def test_matches_and_samples_are_the_same_under_xla():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (2, 30, 2))
    boxes = np.concatenate([low, low + rng.uniform(4, 30, (2, 30, 2))], axis=-1).astype("float32")
    exists = np.array([[True] * 4, [True] * 2 + [False] * 2])

    def learn(boxes):
        made = [
            match_anchors(boxes[0], boxes[:, :4], exists),
            match_regions(boxes, boxes[..., 0] > 9, boxes[:, :4], exists),
        ]
        return [(*one, *sample_matches(one, SEED, 12, 0.5, draw=0)) for one in made]

    compiled = tf.function(learn, jit_compile=True)(boxes)
    for ours, theirs in zip(tf.nest.flatten(compiled), tf.nest.flatten(learn(tf.constant(boxes))), strict=True):
        np.testing.assert_array_equal(ours, theirs)
