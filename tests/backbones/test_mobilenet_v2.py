import keras
import numpy as np
import pytest

from tfpanoptic.backbones.mobilenet_v2 import MOBILENET_V2
from tfpanoptic.layers.norm import Norm


def endpoints(size=(None, None), **options):
    image = keras.Input((*size, 3), name="image")
    return image, MOBILENET_V2.build(image, MOBILENET_V2.config(name="mobilenet_v2", **options), Norm())


def test_the_width_multiplier_keeps_multiples_of_eight():
    _, outputs = endpoints(width_multiplier=1.4)
    # 22.4, 33.6, 44.8, 134.4 and 448.
    assert [outputs[f"res{n}"].shape[-1] for n in range(1, 6)] == [24, 32, 48, 136, 448]


def test_the_kernel_size_is_that_of_the_depthwise_convolutions():
    model = keras.Model(*endpoints(kernel_size=5, width_multiplier=0.1))
    depthwise = [layer.conv.kernel.shape[:2] for layer in model.layers if layer.name.endswith("_depthwise")]
    assert depthwise == [(5, 5)] * 17
    assert model.get_layer("block0_conv").conv.kernel.shape[:2] == (3, 3)


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_endpoints_halve_down_to_the_output_stride(padding, output_stride):
    _, outputs = endpoints((97, 128), output_stride=output_stride, padding=padding, width_multiplier=0.1)
    sizes = {2: (49, 64), 4: (25, 32), 8: (13, 16), 16: (7, 8), 32: (4, 4)}
    for number, stride in enumerate((2, 4, 8, 16, 32), start=1):
        assert outputs[f"res{number}"].shape[1:3] == sizes[min(stride, output_stride)]


def test_removed_strides_become_dilations_from_the_next_block_on():
    model = keras.Model(*endpoints(output_stride=8, width_multiplier=0.1))
    dilations = [layer.get_config()["dilation"] for layer in model.layers if layer.name.endswith("_depthwise")]
    # Blocks 7 and 14 lose their stride of 2.
    assert dilations == [1] * 7 + [2] * 7 + [4] * 3


def test_odd_sizes_are_padded_alike():
    x = np.random.default_rng(0).normal(size=(1, 33, 33, 3)).astype("float32")
    same, symmetric = (
        keras.Model(*endpoints(padding=padding, width_multiplier=0.1)) for padding in ("same", "symmetric")
    )
    symmetric.set_weights(same.get_weights())
    np.testing.assert_array_equal(same(x)["res5"], symmetric(x)["res5"])
