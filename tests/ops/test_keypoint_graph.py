import numpy as np

from tfpanoptic.ops.keypoint_graph import CENTER, CORNERS, EDGES, KEYPOINTS, offsets_of, one_by_one


def test_the_edges_join_the_center_and_each_corner_both_ways():
    assert len(KEYPOINTS) == 5 and len(set(EDGES)) == 8
    assert {tuple(sorted(edge)) for edge in EDGES} == {(corner, CENTER) for corner in CORNERS}


def test_offsets_of_a_keypoint_are_two_channels():
    np.testing.assert_array_equal(offsets_of(np.arange(10), 3), [6, 7])


def test_parts_become_images_of_their_own():
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    apart = np.asarray(one_by_one(values, 2))
    np.testing.assert_array_equal(apart, [values[0, :, :2], values[0, :, 2:], values[1, :, :2], values[1, :, 2:]])
