import numpy as np
import pytest

from tfpanoptic.ops.anchors import grid_anchors


def test_cell_anchors_are_those_of_detectron2():
    # models.md, section 13: (x0, y0) of size 32 and ratios .5, 1, 2, symmetric about the origin.
    found = np.asarray(grid_anchors((1, 1), 4, 32.0, (0.5, 1.0, 2.0)))
    low = [(-11.314, -22.627), (-16, -16), (-22.627, -11.314)]  # (y1, x1)
    np.testing.assert_allclose(found[:, :2], low, atol=1e-3)
    np.testing.assert_array_equal(found[:, 2:], -found[:, :2])


def test_anchors_stand_on_the_corners_of_their_cells_row_by_row():
    found = np.asarray(grid_anchors((2, 3), 8, 16.0, (1.0, 4.0))).reshape(2, 3, 2, 4)
    middles = (found[..., :2] + found[..., 2:]) / 2
    for row in range(2):
        for column in range(3):
            np.testing.assert_array_equal(middles[row, column], [(8 * row, 8 * column)] * 2)
    sides = found[0, 0, :, 2:] - found[0, 0, :, :2]
    np.testing.assert_allclose(sides, [(16, 16), (32, 8)])


@pytest.mark.parametrize("size", [16.0, 100.0])
def test_all_anchors_of_a_level_have_one_area(size):
    found = np.asarray(grid_anchors((1, 1), 4, size, (0.3, 1.0, 3.0)))
    area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    np.testing.assert_allclose(area, size**2, rtol=1e-5)
