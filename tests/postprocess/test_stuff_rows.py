import numpy as np

from tfpanoptic.postprocess.stuff_rows import by_category, stuff_labels


def test_stuff_below_the_area_limit_has_no_label():
    areas = np.array([[4, 3], [0, 9]], np.int32)
    np.testing.assert_array_equal(stuff_labels(areas, (2, 5), 4), [[20_000, 0], [0, 50_000]])


def test_stuff_without_pixels_has_no_label_even_without_a_limit():
    np.testing.assert_array_equal(stuff_labels(np.array([[0, 1]], np.int32), (2, 5), 0), [[0, 50_000]])


def test_values_of_the_rows_stand_at_their_categories():
    values = np.array([[7, 8], [9, 6]], np.int32)
    np.testing.assert_array_equal(by_category(values, (5, 2), 5), [[0, 0, 8, 0, 0, 7], [0, 0, 6, 0, 0, 9]])
    np.testing.assert_array_equal(by_category(values[:, :0], (), 2), np.zeros((2, 3)))
