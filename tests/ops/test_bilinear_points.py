import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.bilinear_points import add_at, cell_positions, read_at

# Two channels on 2 x 3 cells.
MAP = np.array([[[0, 0], [10, 1], [20, 2]], [[30, 3], [40, 4], [50, 5]]], np.float32)[None]


def points(*pairs):
    return np.array([pairs], np.float32)


def test_values_are_mixed_by_their_nearness():
    # At (0.5, 0.25): above 0 * .75 + 10 * .25 = 2.5, below 30 * .75 + 40 * .25 = 32.5, their mean 17.5.
    np.testing.assert_allclose(read_at(MAP, points((0.5, 0.25), (1, 2)))[0], [[17.5, 1.75], [50, 5]])


def test_points_outside_read_the_border():
    np.testing.assert_allclose(read_at(MAP, points((-7, 1), (5, 9), (0, -1e30)))[0, :, 0], [10, 50, 0])


def test_a_value_is_shared_by_the_four_cells_around_its_point():
    added = add_at(np.array([[8, 1]], np.float32), points((0.5, 0.25), (1, 2)), (2, 3))
    np.testing.assert_allclose(added[0], [[3, 1, 0], [3, 1, 1]])


def test_what_falls_outside_is_lost():
    # Half of the first; nothing of the others.
    added = add_at(np.ones((1, 4), np.float32), points((-0.5, 0), (0, 3), (-1e9, 0), (0, 1e30)), (2, 3))
    np.testing.assert_allclose(added[0], [[0.5, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_what_a_value_adds_is_its_point(seed):
    at = np.random.default_rng(seed).uniform(0, 5, (1, 1, 2)).astype(np.float32)
    added = np.asarray(add_at(np.ones((1, 1), np.float32), at, (6, 6)))[0]
    mean = [(added * axis).sum() for axis in np.mgrid[:6, :6]]
    np.testing.assert_allclose(mean, at[0, 0], atol=1e-5)


def test_images_of_a_batch_are_apart():
    maps = np.concatenate([MAP, -MAP])
    at = np.repeat(points((1, 1)), 2, axis=0)
    np.testing.assert_allclose(np.asarray(read_at(maps, at))[:, 0, 0], [40, -40])
    added = np.asarray(add_at(np.array([[1], [2]], np.float32), at, (2, 3)))
    np.testing.assert_allclose(added[:, 1, 1], [1, 2])
    assert added.sum() == 3


def test_sizes_known_only_when_run_work_under_xla_too():
    values, at = np.array([[8, 1]], np.float32), points((0.5, 0.25), (1, 2))
    traced = tf.function(
        lambda maps, values, at: (read_at(maps, at), add_at(values, at, tuple(tf.unstack(tf.shape(maps)[1:3])))),
        input_signature=[tf.TensorSpec([None] * 3 + [2]), tf.TensorSpec([None] * 2), tf.TensorSpec([None, None, 2])],
    )
    compiled = tf.function(lambda: (read_at(MAP, at), add_at(values, at, (2, 3))), jit_compile=True)
    for read, added in (traced(MAP, values, at), compiled()):
        np.testing.assert_allclose(read, read_at(MAP, at))
        np.testing.assert_allclose(added, add_at(values, at, (2, 3)))


def test_cells_come_row_by_row():
    np.testing.assert_array_equal(cell_positions((2, 3)), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
