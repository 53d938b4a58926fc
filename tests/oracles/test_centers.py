import numpy as np
import pytest

from tfpanoptic.ops.center_offset import enlarge_offset
from tfpanoptic.oracles.centers import (
    CERTAIN,
    TILT,
    category_shares,
    cell_means,
    cells_of_pixels,
    panoptic_deeplab_perfect_outputs,
)


def targets(height, width):
    """Targets of an image of void."""
    return {
        "semantic": np.zeros((height, width), np.int32),
        "center_heatmap": np.zeros((height, width), np.float32),
        "center_offset": np.zeros((height, width, 2), np.float32),
        "offset_weight": np.zeros((height, width), np.float32),
    }


def test_half_pixel_cells_are_squares_of_the_stride():
    cells, grid = cells_of_pixels((4, 6), 2, align_corners=False)
    assert grid == (2, 3)
    assert cells.tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2


def test_aligned_cells_lie_about_every_stride_th_pixel():
    # Cells 0 and 1 are at pixels 0 and 4; pixel 2, between them, counts for the later.
    cells, grid = cells_of_pixels((5, 5), 4, align_corners=True)
    assert grid == (2, 2)
    assert cells.tolist() == [[0, 0, 1, 1, 1]] * 2 + [[2, 2, 3, 3, 3]] * 3


def test_a_cell_has_the_shares_of_its_labelled_pixels():
    semantic = np.array([[1, 1, 2, 2], [1, 2, 2, 2], [0, 0, 0, 0], [0, 1, 0, 0]])
    cells, grid = cells_of_pixels((4, 4), 2, align_corners=False)
    share = category_shares(semantic, (0, 2, 1), cells, grid)  # channels: void, 2, 1
    # Top left 3 of 4 pixels are of 1; below it 3 pixels are void; at the bottom right all are.
    assert share.tolist() == [[[0, 0.25, 0.75], [0, 1, 0]], [[0, 0, 1], [0, 0, 0]]]


def test_a_mean_leaves_out_pixels_without_weight():
    values, weight = np.array([[[2.0], [4.0]], [[100.0], [9.0]]]), np.array([[1.0, 1.0], [0.0, 0.0]])
    cells, grid = cells_of_pixels((2, 2), 2, align_corners=False)
    assert cell_means(values, weight, cells, grid).tolist() == [[[3.0]]]
    assert cell_means(values, 0 * weight, cells, grid).tolist() == [[[0.0]]]


@pytest.mark.parametrize(("align_corners", "size"), [(False, (8, 12)), (True, (9, 13))])
def test_enlarged_offsets_are_those_of_the_targets(align_corners, size):
    truth = targets(*size)
    truth["center_offset"][...] = (3.0, -5.0)
    truth["offset_weight"][...] = 1.0
    outputs = panoptic_deeplab_perfect_outputs(truth, (1,), 4, 4, align_corners)
    offset = enlarge_offset(outputs["center_offset"], size, align_corners)
    np.testing.assert_allclose(offset[0], truth["center_offset"], rtol=1e-6)


def test_every_head_has_its_own_stride():
    outputs = panoptic_deeplab_perfect_outputs(targets(32, 48), (0, 1, 2), 2, 4, align_corners=False)
    assert {name: value.shape for name, value in outputs.items()} == {
        "semantic_logits": (1, 16, 24, 3),
        "center_heatmap": (1, 8, 12, 1),
        "center_offset": (1, 8, 12, 2),
    }
    assert {value.dtype for value in outputs.values()} == {np.dtype(np.float32)}


def test_without_a_stride_the_outputs_are_the_targets():
    truth = targets(3, 4)
    truth["semantic"][...] = np.arange(12).reshape(3, 4) % 3
    truth["center_heatmap"][...] = np.arange(12).reshape(3, 4) / 12
    outputs = panoptic_deeplab_perfect_outputs(truth, (1, 2), 1, 1, align_corners=True)
    np.testing.assert_allclose(outputs["center_heatmap"][0, ..., 0], truth["center_heatmap"], rtol=TILT)
    for channel, category in enumerate((1, 2)):
        np.testing.assert_array_equal(
            outputs["semantic_logits"][0, ..., channel], CERTAIN * (truth["semantic"] == category)
        )


def test_equal_peaks_are_told_apart_so_that_a_window_can_suppress_one():
    truth = targets(12, 12)
    for y, x in ((2, 2), (2, 8), (8, 2), (8, 8)):
        truth["center_heatmap"][y, x] = 1.0
    heatmap = panoptic_deeplab_perfect_outputs(truth, (1,), 1, 1, align_corners=False)["center_heatmap"]
    peaks = heatmap[heatmap > 0]
    assert len(peaks) == len(np.unique(peaks)) == 4 and peaks.min() > 1 - TILT
