import numpy as np

from tfpanoptic.ops.segments import count_keys, look_up, sum_by_segment


def test_keys_are_counted_image_by_image():
    np.testing.assert_array_equal(count_keys(np.array([[0, 2, 2], [1, 1, 1]]), 3), [[1, 0, 2], [0, 3, 0]])


def test_each_image_has_its_own_table():
    np.testing.assert_array_equal(look_up(np.array([[5, 6], [7, 8]]), np.array([[0, 1], [1, 1]])), [[5, 6], [8, 8]])


def test_values_are_summed_over_the_segments_of_each_image():
    values = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.float32)
    ids = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 2]]], np.int32)
    np.testing.assert_array_equal(sum_by_segment(values, ids, 3), [[1, 9, 0], [18, 0, 8]])


def test_a_sum_over_a_large_segment_keeps_its_digits():
    # One running float32 sum of two million times 0.9 ends 2 % off.
    values, ids = np.full((1, 1024, 2048), 0.9, np.float32), np.zeros((1, 1024, 2048), np.int32)
    np.testing.assert_allclose(sum_by_segment(values, ids, 1), [[0.9 * 1024 * 2048]], rtol=1e-4)
