import numpy as np

from tfpanoptic.ops.gather import gather


def test_each_index_brings_a_whole_entry():
    entries = np.array([[1, 2], [3, 4], [5, 6]], np.int32)
    np.testing.assert_array_equal(gather(entries, np.array([[2], [0]], np.int32)), [[[5, 6]], [[1, 2]]])


def test_each_index_brings_a_single_value():
    values = np.array([7, 8, 9], np.int32)
    np.testing.assert_array_equal(gather(values, np.array([[2, 0], [1, 2]], np.int32)), [[9, 7], [8, 9]])
