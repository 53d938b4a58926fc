import numpy as np

from tfpanoptic.layers.squeeze_excite import EffectiveSqueezeExcite, SqueezeExcite


def test_the_gate_is_a_sigmoid_of_the_channels_means():
    layer = SqueezeExcite(1)
    layer.build((1, 1, 2, 1))
    layer.reduce.kernel.assign([[[[1.0]]]])
    layer.expand.kernel.assign([[[[1.0]]]])
    # The mean of (1, 3) is 2; a hard sigmoid of 2 would be 5/6.
    gate = 1 / (1 + np.exp(-2.0))
    result = layer(np.array([1, 3], "float32").reshape(1, 1, 2, 1))
    np.testing.assert_allclose(result[0, 0, :, 0], [gate, 3 * gate], rtol=1e-6)


def test_the_gate_may_be_a_hard_sigmoid():
    layer = SqueezeExcite(1, gate="hard_sigmoid")
    layer.build((1, 1, 2, 1))
    layer.reduce.kernel.assign([[[[1.0]]]])
    layer.expand.kernel.assign([[[[1.0]]]])
    # The mean of (1, 3) is 2, and (2 + 3) / 6 is 5/6.
    result = layer(np.array([1, 3], "float32").reshape(1, 1, 2, 1))
    np.testing.assert_allclose(result[0, 0, :, 0], [5 / 6, 5 / 2], rtol=1e-6)


def test_the_effective_gate_is_one_convolution():
    layer = EffectiveSqueezeExcite()
    layer.build((1, 1, 2, 1))
    layer.conv.kernel.assign([[[[0.5]]]])
    layer.conv.bias.assign([0.5])
    # The mean of (1, 3) is 2; 0.5 * 2 + 0.5 = 1.5, and (1.5 + 3) / 6 is 3/4.
    result = layer(np.array([1, 3], "float32").reshape(1, 1, 2, 1))
    np.testing.assert_allclose(result[0, 0, :, 0], [3 / 4, 9 / 4], rtol=1e-6)
