"""Channels and trainable parameters of the published backbones."""

import keras
import numpy as np
import pytest

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.layers.norm import Norm

RESNET = [64, 256, 512, 1024, 2048]
WIDE = [128, 256, 512, 1024, 2048]
XCEPTION = [64, 256, 728, 728, 2048]


@pytest.mark.parametrize(
    ("name", "options", "channels", "parameters"),
    [
        # Asserted by DeepLab2's own tests: ResNet-50 and SWideRNet.
        ("resnet50", {}, RESNET, 23_508_032),
        ("resnet50", {"stem": "beta"}, [128, *RESNET[1:]], 23_631_808),
        ("wide_resnet41", {}, WIDE, 109_014_080),
        # With switches: each of the last stage's three blocks has 1x1 convolutions of its 512 channels, of its 1024
        # and from 512 to 1, with biases: 262,656 + 1,049,600 + 513.
        ("swidernet", {"switchable_stride": 32, "output_stride": 16}, WIDE, 109_014_080 + 3 * 1_312_769),
        pytest.param("swidernet", {"layer_multiplier": 3}, WIDE, 333_245_504, marks=pytest.mark.slow),
        pytest.param("swidernet", {"layer_multiplier": 4.5}, WIDE, 487_453_760, marks=pytest.mark.slow),
        # Derived from the tables of blocks of DeepLab2 and of TensorFlow's research/deeplab.
        ("resnet101", {}, RESNET, 42_500_160),
        ("resnet101", {"stem": "beta"}, [128, *RESNET[1:]], 42_623_936),
        ("mobilenet_v3_large", {}, [16, 72, 120, 672, 960], 2_971_952),
        ("mobilenet_v3_small", {}, [16, 16, 88, 144, 576], 927_008),
        ("xception_41", {}, XCEPTION, 24_920_560),
        ("xception_65", {}, XCEPTION, 37_867_312),
        ("xception_71", {}, XCEPTION, 40_289_736),
        # torchvision's has 3,504,872, of these (320 + 2) * 1280 in the convolution to 1,280 channels with its
        # normalisation, and 1280 * 1000 + 1000 in the classifier.
        ("mobilenet_v2", {}, [16, 24, 32, 96, 320], 1_811_712),
    ],
)
def test_they_are_those_of_the_originals(no_random_kernels, name, options, channels, parameters):
    image = keras.Input((None, None, 3), name="image")
    backbone = BACKBONES[name]
    outputs = backbone.build(image, backbone.config(name=name, **options), Norm())
    assert [outputs[f"res{n}"].shape[-1] for n in range(1, 6)] == channels
    weights = keras.Model(image, outputs).trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in weights) == parameters
