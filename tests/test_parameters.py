"""Trainable parameters of the published backbones and models, and the channels of the backbones."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.experiment import Experiment
from tfpanoptic.layers.norm import Norm
from tfpanoptic.models import ARCHITECTURES

pytestmark = pytest.mark.usefixtures("no_random_weights")

CONFIGS = Path(__file__).parents[1] / "configs"
RESNET = [64, 256, 512, 1024, 2048]
BETA = [128, *RESNET[1:]]
WIDE = [128, 256, 512, 1024, 2048]
XCEPTION = [64, 256, 728, 728, 2048]


def axial(width, stem):
    return [stem, *(int(width * channels) for channels in RESNET[1:])]


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


# Asserted by DeepLab2's own tests, or derived from its tables of blocks and those of TensorFlow's research/deeplab.
BACKBONE_CASES = [
    ("resnet50", {}, RESNET, 23_508_032),
    ("resnet50", {"stem": "beta"}, BETA, 23_631_808),
    slow("resnet101", {}, RESNET, 42_500_160),
    ("resnet101", {"stem": "beta"}, BETA, 42_623_936),
    ("axial_resnet_s", {}, axial(0.5, 64), 11_466_912),
    slow("axial_resnet_m", {}, axial(0.75, 64), 24_991_568),
    ("axial_resnet_l", {}, axial(1, 64), 43_714_048),
    slow("axial_resnet_xl", {}, axial(2, 64), 170_582_208),
    ("axial_deeplab_s", {}, axial(0.5, 128), 11_565_856),
    slow("axial_deeplab_m", {}, axial(0.75, 128), 25_113_296),
    ("axial_deeplab_l", {}, axial(1, 128), 43_841_920),
    slow("axial_deeplab_xl", {}, axial(2, 128), 170_734_656),
    ("max_deeplab_s_backbone", {}, BETA, 41_343_424),
    # DeepLab2 builds it at output stride 16, where its decoder has four stages.
    ("max_deeplab_l_backbone", {"output_stride": 16}, WIDE, 175_115_392),
    ("wide_resnet41", {}, WIDE, 109_014_080),
    # With switches: each of the last stage's three blocks has 1x1 convolutions of its 512 channels, of its 1024
    # and from 512 to 1, with biases: 262,656 + 1,049,600 + 513.
    ("swidernet", {"switchable_stride": 32, "output_stride": 16}, WIDE, 109_014_080 + 3 * 1_312_769),
    slow("swidernet", {"layer_multiplier": 3}, WIDE, 333_245_504),
    slow("swidernet", {"layer_multiplier": 4.5}, WIDE, 487_453_760),
    ("axial_swidernet", {}, WIDE, 136_399_392),
    slow("axial_swidernet", {"layer_multiplier": 3}, WIDE, 393_935_520),
    slow("axial_swidernet", {"layer_multiplier": 4.5}, WIDE, 570_346_912),
    ("mobilenet_v3_large", {}, [16, 72, 120, 672, 960], 2_971_952),
    slow("mobilenet_v3_small", {}, [16, 16, 88, 144, 576], 927_008),
    slow("xception_41", {}, XCEPTION, 24_920_560),
    slow("xception_65", {}, XCEPTION, 37_867_312),
    ("xception_71", {}, XCEPTION, 40_289_736),
    # torchvision's has 3,504,872, of these (320 + 2) * 1280 in the convolution to 1,280 channels with its
    # normalisation, and 1280 * 1000 + 1000 in the classifier.
    ("mobilenet_v2", {}, [16, 24, 32, 96, 320], 1_811_712),
]


def trainable(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize(("name", "options", "channels", "parameters"), BACKBONE_CASES)
def test_backbones_are_those_of_the_originals(name, options, channels, parameters):
    image, backbone = keras.Input((None, None, 3), name="image"), BACKBONES[name]
    outputs = backbone.build(image, backbone.config(name=name, **options), Norm())
    assert [outputs[f"res{n}"].shape[-1] for n in range(1, 6)] == channels
    assert trainable(keras.Model(image, outputs)) == parameters


def test_every_backbone_that_is_published_is_counted():
    counted = {getattr(case, "values", case)[0] for case in BACKBONE_CASES}
    assert set(BACKBONES) - counted == {"resnet10", "resnet18"}


# Axial-DeepLab-S is the stored original's: its backbone has 11,565,856, so decoders and heads have 890,054. Of these
# 1,110,016 times the width take the backbone's endpoints (2 * 2048 * 256 + 512 * 96 + 256 * 48), half of it in S, and
# 335,046 are the same in all.
AXIAL_DECODERS = 1_110_016 + 335_046
# Gamma and beta of ResNet-50's normalisations, and of ResNet-101's: frozen here.
NORMS_50, NORMS_101 = 2 * 26_560, 2 * 52_672
# UPSNet's heads have box deltas and a mask of the background, which nothing reads: 4 * (1024 + 1) + 256 + 1.
BACKGROUND = 4_357


@pytest.mark.parametrize(
    ("architecture", "settings", "categories", "parameters"),
    [
        # Asserted by DeepLab2's own tests, or derived from its configurations.
        ("panoptic_deeplab", {"backbone": {"name": "resnet50"}}, 19, 54_973_702),
        slow("panoptic_deeplab", {"backbone": {"name": "resnet50"}, "void_channel": True}, 133, 55_003_257),
        slow("panoptic_deeplab", {"backbone": {"name": "resnet50", "stem": "beta"}}, 19, 55_097_478),
        (
            "panoptic_deeplab",
            {"backbone": {"name": "resnet50", "stem": "beta"}, "void_channel": True},
            133,
            55_127_033,
        ),
        ("panoptic_deeplab", {"backbone": {"name": "mobilenet_v3_large"}}, 19, 18_236_534),
        slow("panoptic_deeplab", {"backbone": {"name": "mobilenet_v3_small"}}, 19, 10_484_198),
        ("axial_deeplab", {"backbone": {"name": "axial_deeplab_s"}}, 19, 12_455_910),
        slow("axial_deeplab", {"backbone": {"name": "axial_deeplab_m"}}, 19, 25_113_296 + 832_512 + 335_046),
        ("axial_deeplab", {"backbone": {"name": "axial_deeplab_l"}}, 19, 43_841_920 + AXIAL_DECODERS),
        slow("axial_deeplab", {"backbone": {"name": "axial_deeplab_xl"}}, 19, 170_734_656 + 2_220_032 + 335_046),
        ("axial_deeplab", {"backbone": {"name": "max_deeplab_s_backbone"}}, 19, 41_343_424 + AXIAL_DECODERS),
        ("axial_deeplab", {"backbone": {"name": "axial_swidernet"}}, 19, 136_399_392 + AXIAL_DECODERS),
        # The sums of Detectron2's and UPSNet's parts.
        ("panoptic_fpn", "panoptic_fpn/resnet50_coco.yaml", (80, 53), 46_027_110 - NORMS_50),
        slow("panoptic_fpn", "panoptic_fpn/resnet101_coco.yaml", (80, 53), 65_019_238 - NORMS_101),
        ("upsnet", "upsnet/resnet50_cityscapes.yaml", (8, 11), 44_527_804 - NORMS_50 - BACKGROUND),
        slow("upsnet", "upsnet/resnet101_cityscapes.yaml", (8, 11), 63_519_932 - NORMS_101 - BACKGROUND),
        slow("upsnet", "upsnet/resnet50_coco.yaml", (80, 53), 46_129_904 - NORMS_50 - BACKGROUND),
    ],
)
def test_models_are_those_of_the_originals(architecture, settings, categories, parameters):
    record = ARCHITECTURES[architecture]
    config = Experiment.from_yaml(CONFIGS / settings).model if isinstance(settings, str) else record.config(**settings)
    things, stuff = categories if isinstance(categories, tuple) else (categories, 0)
    table = (Category(i, f"c{i}", i <= things, (0, 0, 0), i) for i in range(1, things + stuff + 1))
    assert trainable(record.build(config, CategoryTable(tuple(table))).infer) == parameters


def test_xception_71_with_separable_pyramids_has_the_papers_parameters():
    record = ARCHITECTURES["panoptic_deeplab"]
    config = record.config(backbone={"name": "xception_71"}, aspp_separable=True)
    table = CategoryTable(tuple(Category(i, f"c{i}", True, (0, 0, 0), i) for i in range(1, 20)))
    # Cheng et al. 2020, table 4: 46.7 M.
    assert round(trainable(record.build(config, table).infer) / 1e6, 2) == 46.75
