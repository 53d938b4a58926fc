import numpy as np
import pytest
import tensorflow as tf

from tests.ops.tensor_float import multiply_tensor_floats, tensor_float
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
    positions = random.uniform(-50, 50, (3, 20, 2)).astype(np.float32)
    points, exists = random.integers(-50, 50, (3, 5, 2)).astype(np.float32), np.ones((3, 5), bool)
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
    positions, points = (random.integers(-50, 50, (2, n, 2)).astype(np.float32) for n in (30, 40))
    exists = np.ones((2, 40), bool)
    np.testing.assert_array_equal(traced(positions, points, exists), plain_search(positions, points, exists))


def test_points_of_ten_coordinates_are_compared_in_all_of_them():
    random = np.random.default_rng(2)
    positions, points = (random.integers(-50, 50, (2, n, 10)).astype(np.float32) for n in (50, 30))
    exists = np.ones((2, 30), bool)
    np.testing.assert_array_equal(nearest_point(positions, points, exists), plain_search(positions, points, exists))


def test_a_tensor_float_keeps_eleven_bits():
    # 0.1 is 1638.4 / 2**14.
    # 2**11 + 1 lies between two of them; the even one is 2**11. 2**11 + 3 lies between 2**11 + 2 and 2**11 + 4.
    np.testing.assert_array_equal(
        tensor_float(tf.constant([2047.0, 2049.0, -2051.0, 0.1])), [2047, 2048, -2052, 1638 / 2**14]
    )


@pytest.mark.parametrize("dimensions", [2, 10])
def test_a_product_of_tensor_floats_gives_the_same_nearest_points(monkeypatch, dimensions):
    """Points of a map of 1025 x 2049 and positions about them."""
    random = np.random.default_rng(dimensions)
    edge = np.tile([512, 1024], dimensions // 2)
    points = random.integers(-edge, edge, (1, 200, dimensions)).astype(np.float32)
    positions = points[:, random.integers(0, 200, 20_000)] + random.normal(0, 30, (1, 20_000, dimensions))
    positions, exists = positions.astype(np.float32), np.ones((1, 200), bool)
    expected = plain_search(positions, points, exists)
    multiply_tensor_floats(monkeypatch)
    # A rest of 11 bits is off by 2**-13 pixels at most.
    assert np.mean(np.asarray(nearest_point(positions, points, exists)) != expected) <= 1e-4


def test_points_of_a_map_beyond_4096_pixels_are_told_apart_by_tensor_floats(monkeypatch):
    multiply_tensor_floats(monkeypatch)
    points = np.array([[[-3000.0, 4001.0], [-3000.0, 4011.0]]], np.float32)
    positions = np.array([[[-3000.0, 4004.0], [-3000.0, 4008.0]]], np.float32)
    np.testing.assert_array_equal(nearest_point(positions, points, np.ones((1, 2), bool)), [[0, 1]])


@pytest.mark.parametrize("dimensions", [2, 10])
def test_parts_of_a_pixel_count(dimensions):
    points = np.zeros((1, 2, dimensions), np.float32)
    points[0, 1] = 2048  # a step is a pixel
    positions = np.full((1, 2, dimensions), 1024.4, np.float32)
    positions[0, 1] = 1023.6
    np.testing.assert_array_equal(nearest_point(positions, points, np.ones((1, 2), bool)), [[1, 0]])


def test_without_a_point_the_first_place_is_the_answer():
    positions, points = np.ones((2, 5, 2), np.float32), np.zeros((2, 40, 2), np.float32)
    np.testing.assert_array_equal(nearest_point(positions, points, np.zeros((2, 40), bool)), np.zeros((2, 5)))
