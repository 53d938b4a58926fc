import numpy as np

from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.skip_decoder import SkipDecoder

# With this epsilon and moving variance 1 - epsilon, a fresh batch normalisation in inference changes nothing.
NORM = Norm(epsilon=0.25)


def test_the_enlarged_map_comes_before_the_reduced_skip():
    layer = SkipDecoder((1,), 1, kernel_size=1, separable=False, norm=NORM)
    layer.build([(1, 1, 2, 1), (1, 1, 3, 1)])
    for part in (layer.reduce[0], layer.fuse[0]):
        part.norm.moving_variance.assign([1 - NORM.epsilon])
    layer.reduce[0].conv.kernel.assign([[[[2.0]]]])
    layer.fuse[0].conv.kernel.assign(np.array([1, 100], "float32").reshape(1, 1, 2, 1))
    coarse = np.array([1, 3], "float32").reshape(1, 1, 2, 1)
    skip = np.array([4, 5, 6], "float32").reshape(1, 1, 3, 1)
    # (1, 2, 3) with aligned corners, plus 100 times twice the skip.
    np.testing.assert_allclose(layer([coarse, skip])[0, 0, :, 0], [801, 1002, 1203], rtol=1e-6)


def test_without_skips_the_map_stays_as_it_is():
    coarse = np.arange(6, dtype="float32").reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(SkipDecoder((), 1)([coarse]), coarse)
