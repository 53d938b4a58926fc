import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.nearest_point import nearest_point


def plain_search(positions, points, exists):
    distance = ((positions[:, :, None].astype(np.float64) - points[:, None]) ** 2).sum(-1)
    return np.where(exists[:, None], distance, np.inf).argmin(-1)


@pytest.mark.parametrize("present", [1, 3, 17, 40, 70, 130])
def test_the_nearest_point_is_that_of_a_plain_search(present):
    """Whatever part of the places is taken: each number here ends in another branch of the halving."""
    random = np.random.default_rng(present)
    positions = random.uniform(-50, 50, (2, 300, 2)).astype(np.float32)
    points = random.integers(-50, 50, (2, 130, 2)).astype(np.float32)
    exists = np.broadcast_to(np.arange(130) < present, (2, 130))
    np.testing.assert_array_equal(nearest_point(positions, points, exists), plain_search(positions, points, exists))


def test_images_of_a_batch_have_points_of_their_own():
    positions = np.zeros((2, 1, 2), np.float32)
    points = np.array([[[0, 1], [0, 9]], [[0, 9], [0, 1]]], np.float32)
    np.testing.assert_array_equal(nearest_point(positions, points, np.ones((2, 2), bool)), [[0], [1]])


def test_one_image_with_many_points_does_not_cost_another_its_own():
    points = np.full((2, 64, 2), 100, np.float32)
    points[0, 60] = points[1, 0] = 0
    exists = np.array([[True] * 64, [True] + [False] * 63])
    np.testing.assert_array_equal(nearest_point(np.zeros((2, 1, 2), np.float32), points, exists), [[60], [0]])


def test_equally_near_points_give_the_first():
    points = np.array([[[0, -1], [0, 1]]], np.float32)
    np.testing.assert_array_equal(
        nearest_point(np.zeros((1, 3, 2), np.float32), points, np.ones((1, 2), bool)), [[0] * 3]
    )


def test_more_positions_than_a_block_are_all_answered(monkeypatch):
    monkeypatch.setattr("tfpanoptic.ops.nearest_point.BLOCK", 7)
    random = np.random.default_rng(0)
    positions = random.normal(size=(3, 20, 2)).astype(np.float32)
    points, exists = random.normal(size=(3, 5, 2)).astype(np.float32), np.ones((3, 5), bool)
    np.testing.assert_array_equal(nearest_point(positions, points, exists), plain_search(positions, points, exists))


def test_points_at_the_corner_of_a_large_image_are_told_apart():
    """Neighbouring centres 1,100 pixels from the middle: float32 must still separate half pixels."""
    points = np.array([[[-512.0, -1024.0], [-512.0, -1023.0]]], np.float32)
    positions = np.array([[[-512.0, -1023.75], [-512.0, -1023.25]]], np.float32)
    np.testing.assert_array_equal(nearest_point(positions, points, np.ones((1, 2), bool)), [[0, 1]])


def test_lengths_known_only_when_run_work():
    traced = tf.function(
        nearest_point,
        input_signature=[
            tf.TensorSpec([None, None, 2]),
            tf.TensorSpec([None, 40, 2]),
            tf.TensorSpec([None, 40], tf.bool),
        ],
    )
    random = np.random.default_rng(1)
    positions, points = (random.normal(size=(2, n, 2)).astype(np.float32) for n in (30, 40))
    exists = np.ones((2, 40), bool)
    np.testing.assert_array_equal(traced(positions, points, exists), plain_search(positions, points, exists))


def test_points_of_ten_coordinates_are_compared_in_all_of_them():
    random = np.random.default_rng(2)
    positions, points = (random.normal(size=(2, n, 10)).astype(np.float32) for n in (50, 30))
    exists = np.ones((2, 30), bool)
    np.testing.assert_array_equal(nearest_point(positions, points, exists), plain_search(positions, points, exists))
