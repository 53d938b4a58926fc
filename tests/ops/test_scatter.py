import numpy as np

from tfpanoptic.ops.scatter import add_rows


def test_rows_of_one_place_add_up():
    table = np.ones((3, 2), "float32")
    found = add_rows(table, np.array([2, 0, 2], "int32"), np.array([[1, 2], [3, 4], [5, 6]], "float32"))
    np.testing.assert_array_equal(found, [[4, 5], [1, 1], [7, 9]])
