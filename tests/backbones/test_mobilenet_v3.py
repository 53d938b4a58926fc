import keras
import pytest

from tfpanoptic.backbones.inverted_bottleneck import make_divisible
from tfpanoptic.backbones.mobilenet_v3 import MOBILENET_V3
from tfpanoptic.layers.norm import Norm


def endpoints(name, size=(None, None), output_stride=32):
    image = keras.Input((*size, 3), name="image")
    config = MOBILENET_V3.config(name=name, output_stride=output_stride)
    return image, MOBILENET_V3.build(image, config, Norm())


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_endpoints_halve_down_to_the_output_stride(name, output_stride):
    _, outputs = endpoints(name, (97, 129), output_stride)
    sizes = {2: (49, 65), 4: (25, 33), 8: (13, 17), 16: (7, 9), 32: (4, 5)}
    for number, stride in enumerate((2, 4, 8, 16, 32), start=1):
        assert outputs[f"res{number}"].shape[1:3] == sizes[min(stride, output_stride)]


def test_removed_strides_become_dilations_from_the_next_block_on():
    model = keras.Model(*endpoints("mobilenet_v3_large", output_stride=8))
    dilations = [layer.get_config()["dilation"] for layer in model.layers if layer.name.endswith("_depthwise")]
    # Blocks 7 and 13 lose their stride of 2.
    assert dilations == [1] * 7 + [2] * 6 + [4] * 2


def test_channels_are_rounded_to_eight_but_not_down_by_more_than_a_tenth():
    # 72 * 0.25 = 18 would become 16, less than 0.9 * 18 = 16.2, so 24 (the squeeze of Large's block 4).
    assert [make_divisible(value) for value in (3, 18, 30, 184.0, 180)] == [8, 24, 32, 184, 184]
