import numpy as np
import pytest

from tfpanoptic.layers.conv import ConvNorm
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.switchable_atrous_conv import GlobalContext, SwitchableConvNorm

ALONE = {"activation": None, "norm": Norm("none")}


def random_map(size=(1, 9, 11, 3)):
    return np.random.default_rng(0).normal(size=size).astype("float32")


@pytest.mark.parametrize("stride", [1, 2])
def test_a_new_one_is_a_plain_convolution(stride):
    x = random_map()
    switchable, plain = (kind(4, 3, stride, **ALONE) for kind in (SwitchableConvNorm, ConvNorm))
    found = switchable(x)
    plain.build(x.shape)
    plain.conv.set_weights(switchable.conv.get_weights())
    np.testing.assert_allclose(found, plain(x), atol=1e-6)


def test_the_switch_mixes_the_kernel_at_two_dilations():
    layer = SwitchableConvNorm(1, 3, **ALONE)
    layer.build((1, 1, 7, 1))
    layer.conv.kernel.assign(np.ones((3, 3, 1, 1)))
    layer.conv.bias.assign([10])
    x = np.arange(1, 8, dtype="float32").reshape(1, 1, 7, 1)
    layer.switch.bias.assign([0.5])
    # Half of the sums of neighbours (3, 6, 9, 12, 15, 18, 13), half of those three cells away (5, 7, 9, 12, 7, 9, 11).
    expected = 10 + np.array([8, 13, 18, 24, 22, 27, 24]) / 2
    np.testing.assert_allclose(layer(x)[0, 0, :, 0], expected, rtol=1e-6)


def test_the_switch_reads_the_mean_of_five_cells_inside_the_map():
    layer = SwitchableConvNorm(1, 1, **ALONE)
    layer.build((1, 1, 4, 1))
    x = np.array([1, 2, 3, 4], "float32").reshape(1, 1, 4, 1)
    layer.switch.kernel.assign(np.ones((1, 1, 1, 1)))
    layer.conv.kernel.assign(np.ones((1, 1, 1, 1)))
    # A 1x1 kernel is the same at both dilations, whatever the switch.
    np.testing.assert_allclose(layer(x)[0, 0, :, 0], [1, 2, 3, 4], rtol=1e-6)
    layer = SwitchableConvNorm(1, 3, **ALONE)
    layer.build((1, 1, 4, 1))
    layer.switch.kernel.assign(np.ones((1, 1, 1, 1)))
    left = np.zeros((3, 3, 1, 1))
    left[1, 0] = 1  # takes the cell before, or the one three before
    layer.conv.kernel.assign(left)
    switch = np.array([2, 2.5, 2.5, 3])  # means of (1, 2, 3), (1, 2, 3, 4) twice and (2, 3, 4)
    near, far = np.array([0, 1, 2, 3]), np.array([0, 0, 0, 1])
    np.testing.assert_allclose(layer(x)[0, 0, :, 0], switch * far + (1 - switch) * near, rtol=1e-6)


def test_the_context_adds_a_convolution_of_the_means():
    layer = GlobalContext()
    layer.build((1, 1, 2, 2))
    layer.conv.kernel.assign(np.array([[[[1.0, 0.0], [10.0, 0.0]]]]))
    layer.conv.bias.assign([0.0, 5.0])
    # Means (2, 3): the first channel gains 2 + 30, the second its bias.
    result = layer(np.array([[1, 2], [3, 4]], "float32").reshape(1, 1, 2, 2))
    np.testing.assert_allclose(result[0, 0], [[33, 7], [35, 9]], rtol=1e-6)
