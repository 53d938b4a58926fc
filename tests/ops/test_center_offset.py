import numpy as np

from tfpanoptic.ops.center_offset import enlarge_offset


def test_aligned_corners_scale_each_axis_by_its_steps():
    # 3 x 2 cells on 9 x 5 pixels: one step is 8/2 = 4 pixels down and 4/1 = 4 across.
    enlarged = enlarge_offset(np.ones((1, 3, 2, 2), np.float32), (9, 5), align_corners=True)
    np.testing.assert_allclose(enlarged, np.full((1, 9, 5, 2), 4.0))


def test_half_pixel_centers_scale_each_axis_by_its_cells():
    enlarged = enlarge_offset(np.ones((1, 3, 2, 2), np.float32), (9, 5), align_corners=False)
    np.testing.assert_allclose(enlarged[..., 0], np.full((1, 9, 5), 3.0))
    np.testing.assert_allclose(enlarged[..., 1], np.full((1, 9, 5), 2.5))


def test_a_single_row_has_no_length_to_scale():
    assert np.isfinite(enlarge_offset(np.ones((1, 1, 1, 2), np.float32), (4, 4), align_corners=True)).all()


def test_pairs_of_channels_are_offsets_of_their_own():
    enlarged = enlarge_offset(np.array([1, 2, 3, 4], np.float32).reshape(1, 1, 1, 4), (9, 5), align_corners=False)
    np.testing.assert_allclose(enlarged[0, 0, 0], [9, 10, 27, 20])
