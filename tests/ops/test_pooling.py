import numpy as np
import pytest

from tfpanoptic.ops.pooling import best_peaks, max_pool_window


@pytest.mark.parametrize("window", [1, 3, 4, 5, 7, 13, 41])
def test_the_largest_of_a_window_is_that_of_a_plain_search(window):
    maps = np.random.default_rng(window).uniform(size=(2, 11, 17)).astype(np.float32)
    before, after = (window - 1) // 2, window // 2
    expected = np.zeros_like(maps)
    for y in range(11):
        for x in range(17):
            near = maps[:, max(0, y - before) : y + after + 1, max(0, x - before) : x + after + 1]
            expected[:, y, x] = near.max((1, 2))
    np.testing.assert_array_equal(max_pool_window(maps, window), expected)


def test_peaks_come_highest_first():
    heatmap = np.array([[[0.3, 0, 0, 0.9, 0, 0, 0.5]]], np.float32)
    position, height = best_peaks(heatmap, 0.1, 3, 3)
    np.testing.assert_array_equal(position, [[3, 6, 0]])
    np.testing.assert_allclose(height, [[0.9, 0.5, 0.3]])


def test_a_lower_value_in_the_window_of_a_higher_one_is_no_peak():
    heatmap = np.array([[[0.8, 0, 0.9, 0, 0, 0.7]]], np.float32)
    position, height = best_peaks(heatmap, 0.1, 5, 4)
    np.testing.assert_array_equal(position, [[2, 5, 0, 0]])
    np.testing.assert_allclose(height, [[0.9, 0.7, 0, 0]])


def test_equal_peaks_come_in_raster_order():
    position, _ = best_peaks(np.full((1, 2, 3), 0.5, np.float32), 0.1, 1, 4)
    np.testing.assert_array_equal(position, [[0, 1, 2, 3]])


def test_values_up_to_the_threshold_are_no_peaks():
    _, height = best_peaks(np.array([[[0.5, 0.0, 0.6]]], np.float32), 0.5, 1, 2)
    np.testing.assert_allclose(height, [[0.6, 0]])
