import numpy as np

from tfpanoptic.layers.aspp import ASPP
from tfpanoptic.layers.norm import Norm

# With this epsilon and moving variance 1 - epsilon, a fresh batch normalisation in inference changes nothing.
NORM = Norm(epsilon=0.25)


def neutral(layer, input_channels):
    """The built layer with kernels of 0 and normalisations that change nothing."""
    layer.build((None, None, None, input_channels))
    for part in (layer.pointwise, *layer.atrous, layer.pool, layer.project):
        part.conv.kernel.assign(np.zeros(part.conv.kernel.shape, "float32"))
        part.norm.moving_variance.assign(np.full(part.norm.beta.shape, 1 - NORM.epsilon, "float32"))
    return layer


def test_branches_are_joined_in_deeplab2s_order():
    layer = neutral(ASPP(1, (3, 6, 9), norm=NORM), input_channels=2)
    for digit, branch in enumerate((layer.pointwise, *layer.atrous, layer.pool), start=1):
        branch.norm.beta.assign([float(digit)])
    layer.project.conv.kernel.assign(np.array([1, 10, 100, 1000, 10000], "float32").reshape(1, 1, 5, 1))
    result = layer(np.zeros((1, 2, 2, 2), "float32"))
    np.testing.assert_allclose(result, np.full((1, 2, 2, 1), 54321.0), rtol=1e-6)


def pooled(window, values):
    """What the pooling branch alone gives on one row of values."""
    layer = neutral(ASPP(1, (), pool_window=window, norm=NORM), input_channels=1)
    layer.pool.conv.kernel.assign([[[[1.0]]]])
    layer.project.conv.kernel.assign(np.array([0, 1], "float32").reshape(1, 1, 2, 1))
    return layer(np.asarray(values, "float32").reshape(1, 1, -1, 1))[0, 0, :, 0]


def test_without_a_window_the_image_pooling_is_the_mean_of_the_map():
    np.testing.assert_allclose(pooled(None, [1, 2, 3, 6]), [3, 3, 3, 3], rtol=1e-6)


def test_a_window_is_moved_over_the_map_and_its_means_enlarged():
    # Windows (1, 2, 3) and (2, 3, 7) have the means 2 and 4; enlarged to four cells with aligned corners.
    np.testing.assert_allclose(pooled((1, 3), [1, 2, 3, 7]), [2, 2 + 2 / 3, 2 + 4 / 3, 4], rtol=1e-6)


def test_a_window_larger_than_the_map_is_cut_to_it():
    np.testing.assert_allclose(pooled((33, 65), [1, 2, 3, 6]), [3, 3, 3, 3], rtol=1e-6)


def test_dropout_acts_in_training_only():
    layer = neutral(ASPP(64, (), dropout=0.5, norm=NORM), input_channels=1)
    layer.project.norm.beta.assign(np.ones(64, "float32"))
    zeros = np.zeros((1, 2, 2, 1), "float32")
    seed = np.array([[1, 2]], "int32")
    assert (np.asarray(layer(zeros, seed, training=False)) == 1).all()
    assert (np.asarray(layer(zeros, training=True)) == 1).all()
    assert (np.asarray(layer(zeros, seed, training=True)) == 0).any()


def test_separable_pyramids_dilate_the_depthwise_part():
    layer = ASPP(4, (1, 6), separable=True)
    layer.build((1, 5, 5, 3))
    assert [branch.depthwise.conv.dilation_rate for branch in layer.atrous] == [(1, 1), (6, 6)]
    # 3x3 for each of 3 channels and a 3 -> 4 matrix, with two normalisations.
    assert sum(int(np.prod(w.shape)) for w in layer.atrous[0].trainable_weights) == 9 * 3 + 2 * 3 + 3 * 4 + 2 * 4
