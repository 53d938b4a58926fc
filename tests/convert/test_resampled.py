import numpy as np
import pytest

from tests.models.eomt_reference import FOLDER, recipe
from tfpanoptic.convert.resampled import bicubic_matrix, resampled_kernel, resampled_positions

# Positions of 37 x 37 and kernels of 14 x 14, as timm resampled them.
TIMM = np.load(FOLDER / "resample.npz")


@pytest.mark.parametrize("size", [(40, 40), (20, 30)])
def test_positions_are_resampled_as_timm_does(size):
    positions = recipe.noise("resample.pos", (1, 1369, 6)).reshape(37, 37, 6)
    ours = resampled_positions(positions, size)
    # timm works in float32.
    np.testing.assert_allclose(ours, TIMM[f"position/37x37/{size[0]}x{size[1]}"], atol=2e-5)


def test_a_patch_kernel_is_resampled_as_timm_does():
    kernel = recipe.noise("resample.kernel", (5, 3, 14, 14)).transpose(2, 3, 1, 0)
    np.testing.assert_allclose(resampled_kernel(kernel, 16).transpose(3, 2, 0, 1), TIMM["kernel/14/16"], atol=5e-5)


def test_positions_of_the_same_grid_stay():
    positions = recipe.noise("positions", (5, 7, 2))
    np.testing.assert_allclose(resampled_positions(positions, (5, 7)), positions, rtol=1e-12)


def test_outputs_of_a_resampled_kernel_on_enlarged_patches_are_the_old_ones():
    kernel, patch = recipe.noise("kernel", (14, 14, 1, 1)), recipe.noise("patch", (14, 14)).astype("float64")
    axis = bicubic_matrix(14, 16)
    before = np.sum(patch * kernel[:, :, 0, 0])
    after = np.sum((axis @ patch @ axis.T) * resampled_kernel(kernel, 16)[:, :, 0, 0])
    # 14 values are not lost in 16, so nothing is left of the least squares.
    np.testing.assert_allclose(after, before, rtol=1e-9)


def test_each_cell_of_a_resized_axis_has_shares_that_sum_to_1():
    for source, target in ((3, 8), (8, 3), (5, 5)):
        np.testing.assert_allclose(bicubic_matrix(source, target).sum(axis=1), 1, rtol=1e-12)
