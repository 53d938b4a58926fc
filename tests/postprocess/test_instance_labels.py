import numpy as np

from tfpanoptic.postprocess.instance_labels import labels_in_order


def test_rows_are_numbered_within_their_category_and_image():
    category = np.array([[2, 1, 2, 0, 2], [1, 0, 1, 1, 2]], np.int32)
    expected = [[20_001, 10_001, 20_002, 0, 20_003], [10_001, 0, 10_002, 10_003, 20_001]]
    np.testing.assert_array_equal(labels_in_order(category), expected)
