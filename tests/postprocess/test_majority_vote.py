import numpy as np

from tfpanoptic.postprocess.majority_vote import vote_and_merge

# Categories: things 1 and 2, stuff 3.
SCORES = np.array([[0.9, 0.5]], np.float32)


def merge(semantic, instance, scores=SCORES, stuff_area=0):
    semantic = np.array([[semantic]], np.int32)
    made = vote_and_merge(semantic, np.array([instance], np.int32), scores, (1, 2), 3, stuff_area)
    return {name: np.asarray(value)[0] for name, value in made.items()}


def test_an_instance_takes_the_thing_that_most_of_its_pixels_are():
    made = merge([1, 2, 2, 3, 1], [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(made["segment_ids"], [[1, 1, 1, 3, 2]])
    np.testing.assert_array_equal(made["labels"], [20_001, 10_001, 30_000])
    np.testing.assert_array_equal(made["areas"], [3, 1, 1])
    np.testing.assert_allclose(made["scores"], [0.9, 0.5, 1])


def test_thing_pixels_without_any_instance_are_void():
    made = merge([1, 3], [0, 0], np.zeros((1, 2), np.float32))
    np.testing.assert_array_equal(made["segment_ids"], [[0, 3]])


def test_stuff_below_the_area_limit_is_void():
    assert not merge([3, 3], [0, 0], stuff_area=3)["segment_ids"].any()
    assert merge([3, 3], [0, 0], stuff_area=2)["segment_ids"].all()


def test_an_instance_without_pixels_has_an_empty_row():
    made = merge([1, 1], [1, 1])
    np.testing.assert_array_equal(made["labels"], [0, 10_001, 0])
    np.testing.assert_allclose(made["scores"], [0, 0.5, 0])
