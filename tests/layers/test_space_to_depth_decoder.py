import keras
import numpy as np

from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.space_to_depth_decoder import SpaceToDepthDecoder


def decoder(**changes):
    """One channel everywhere, plain 1x1 fusions without normalisation and bias."""
    made = SpaceToDepthDecoder(1, 1, 4, 1, 2, kernel_size=1, separable=False, norm=Norm("none"), name="x", **changes)
    made.build([(None, None, None, 1), (None, None, None, 1)])
    for reduce in (made.reduce_coarse, made.reduce_fine):
        reduce.conv.kernel.assign(np.ones((1, 1, 1, 1)))
    return made


def test_fine_cells_come_back_to_their_places():
    made, fine = decoder(), np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    # Of the coarse map and four fine cells, the first fusion keeps the fine ones, and so does the second.
    made.fuse1.conv.kernel.assign(np.eye(5)[:, 1:].reshape(1, 1, 5, 4))
    made.fuse2.conv.kernel.assign(np.eye(4).reshape(1, 1, 4, 4))
    np.testing.assert_array_equal(made([np.full((1, 2, 2, 1), 7, np.float32), fine]), fine)


def test_a_coarse_cell_reaches_its_block():
    made, coarse = decoder(), np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
    made.fuse1.conv.kernel.assign(np.eye(5)[:, :4].reshape(1, 1, 5, 4))
    made.fuse2.conv.kernel.assign(np.eye(4)[:, [0] * 4].reshape(1, 1, 4, 4))
    result = np.asarray(made([coarse, np.zeros((1, 3, 4, 1), np.float32)]))
    np.testing.assert_array_equal(result[0, ..., 0], [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]])


def test_the_published_widths():
    made = SpaceToDepthDecoder(name="x")
    made.build([(None, None, None, 256), (None, None, None, 128)])
    # 256 of the coarse map and 32 x 16 of the fine one, to 1024 and 4096 = 256 x 16.
    shapes = [tuple(fuse.pointwise.conv.kernel.shape) for fuse in (made.fuse1, made.fuse2)]
    assert shapes == [(1, 1, 768, 1024), (1, 1, 1024, 4096)]
    assert made([keras.KerasTensor((1, 16, 32, 256)), keras.KerasTensor((1, 64, 128, 128))]).shape == (1, 64, 128, 256)
