"""The published recipes as settings, and their learning rates at steps worked out by hand."""

from contextlib import ExitStack

import keras
import pytest
import yaml

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.layers.norm import Norm
from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.groups import variable_rules
from tfpanoptic.train.updates import Updates

# Detectron2, COCO-PanopticSegmentation/panoptic_fpn_R_50_1x: biases decay, normalisation does not.
PANOPTIC_FPN = """
steps: 90000
batch_size: 16
optimizer:
  name: sgd
  learning_rate: 0.02
  momentum: 0.9
  weight_decay: 1.0e-4
  decay: coupled
  arithmetic: pytorch
  groups:
    - {match: "/bias$", weight_decay: true}
    - {match: "^(stem|stage2)[/_]", frozen: true}
schedule: {name: step, drop_steps: [60000, 80000], warmup_steps: 1000, warmup_fraction: 0.001, warmup: multiplies}
"""

# UPSNet, upsnet_resnet50_coco_16gpu: biases twice the rate; neither they nor group normalisation decay.
UPSNET = """
steps: 90000
batch_size: 16
optimizer:
  name: sgd
  learning_rate: 0.02
  momentum: 0.9
  weight_decay: 1.0e-4
  decay: coupled
  rescale_momentum: true
  groups:
    - {match: "/bias$", learning_rate_factor: 2.0}
    - {match: "^(stem|stage2)[/_]", frozen: true}
schedule: {name: step, drop_steps: [60000, 80000], warmup_steps: 1500, warmup_fraction: 0.1}
"""

# DeepLab2, panoptic_deeplab/resnet50_os32_coco.
DEEPLAB2 = """
steps: 200000
batch_size: 64
optimizer: {name: adam, learning_rate: 5.0e-4}
schedule: {name: poly, power: 0.9, warmup_steps: 2000}
"""

# Detectron2, projects/Panoptic-DeepLab on Cityscapes (WarmupPolyLR).
DETECTRON2_DEEPLAB = """
steps: 60000
batch_size: 32
optimizer: {name: adam, learning_rate: 1.0e-3, arithmetic: pytorch, epsilon: 1.0e-8}
schedule: {name: poly, power: 0.9, warmup_steps: 1000, warmup_fraction: 0.001, warmup: multiplies}
"""

# EoMT-L with DINOv2, 12 epochs of COCO: everything decays, and the backbone starts when the rest has warmed up.
EOMT = """
steps: 88692
batch_size: 16
optimizer:
  name: adamw
  learning_rate: 1.0e-4
  weight_decay: 0.05
  betas: [0.9, 0.999]
  epsilon: 1.0e-8
  arithmetic: pytorch
  clip_norm: 0.01
  groups:
    - {match: ".", weight_decay: true}
    - {match: "^(patch_embedding|position|class_token|register|block[0-9]+_|norm)", start_step: 500, warmup_steps: 1000}
  layer_decay:
    factor: 0.8
    layers: 24
    match: "^block([0-9]+)_"
    first: "^(patch_embedding|position|class_token|register)"
schedule: {name: poly, power: 0.9, warmup_steps: 500, warmup: precedes}
"""

# Paths of our ResNet-50 and of a head: the stem, res2, then what is trained.
CONVOLUTIONS = [
    "stem/conv/kernel",
    "stage2_block1_conv1/conv/kernel",
    "stage3_block1_conv1/conv/kernel",
    "stage3_block1_conv1/batch_norm/gamma",
    "head/kernel",
    "head/bias",
]
TRANSFORMER = ["patch_embedding/kernel", "block0_mlp/bias", "block22_mlp/kernel", "norm/gamma", "queries", "head/bias"]


def config_of(text):
    return TrainingConfig.model_validate(yaml.safe_load(text))


def variable(path):
    *layers, name = path.split("/")
    with ExitStack() as scopes:
        for layer in layers:
            scopes.enter_context(keras.name_scope(layer))
        return keras.Variable([0.0], name=name)


def rate(text, path, step):
    paths = TRANSFORMER if text is EOMT else CONVOLUTIONS
    variables = [variable(other) for other in paths]
    assert [other.path for other in variables] == paths
    updates = Updates(config_of(text), variables)
    updates.iterations.assign(step)
    return updates.learning_rates[path]


@pytest.mark.parametrize(
    "step, expected",
    [
        (0, 2e-5),  # 0.02 * 0.001
        (500, 0.01001),  # 0.02 * (0.001 + 0.999 / 2)
        (1000, 0.02),
        (59_999, 0.02),
        (60_000, 0.002),
        (80_000, 0.0002),
    ],
)
def test_panoptic_fpn_warms_up_from_a_thousandth_and_drops_twice(step, expected):
    assert rate(PANOPTIC_FPN, "head/kernel", step) == pytest.approx(expected, rel=1e-5)


def test_panoptic_fpn_decays_biases_and_freezes_stem_and_res2():
    """Detectron2's FREEZE_AT is 2."""
    rules = variable_rules(config_of(PANOPTIC_FPN), CONVOLUTIONS)
    assert [rule and rule.weight_decay for rule in rules] == [None, None, 1e-4, 0.0, 1e-4, 1e-4]


def test_the_frozen_groups_find_stem_and_res2_of_our_resnet50_and_nothing_else():
    backbone, image = BACKBONES["resnet50"], keras.Input((33, 33, 3))
    model = keras.Model(image, backbone.build(image, backbone.config(name="resnet50"), Norm()))
    paths = [*(weight.path for weight in model.trainable_weights), "head/bias"]
    for text in (PANOPTIC_FPN, UPSNET):
        frozen = [path for path, rule in zip(paths, variable_rules(config_of(text), paths)) if rule is None]
        assert frozen == [path for path in paths if path.startswith(("stem/", "stage2_"))]


@pytest.mark.parametrize(
    "step, expected",
    [
        (0, 0.002),  # a tenth
        (750, 0.011),  # 0.02 * (0.1 + 0.9 / 2)
        (1500, 0.02),
        (60_000, 0.002),
        (80_000, 0.0002),
    ],
)
def test_upsnet_warms_up_from_a_tenth_and_biases_have_twice_the_rate(step, expected):
    assert rate(UPSNET, "head/kernel", step) == pytest.approx(expected, rel=1e-5)
    assert rate(UPSNET, "stage3_block1_conv1/batch_norm/gamma", step) == pytest.approx(expected, rel=1e-5)
    assert rate(UPSNET, "head/bias", step) == pytest.approx(2 * expected, rel=1e-5)


def test_upsnet_decays_kernels_only_and_freezes_stem_and_res2():
    rules = variable_rules(config_of(UPSNET), CONVOLUTIONS)
    assert [rule and rule.weight_decay for rule in rules] == [None, None, 1e-4, 0.0, 1e-4, 0.0]


@pytest.mark.parametrize(
    "step, expected",
    [
        (1000, 2.5e-4),  # half of the warm-up
        (1999, 4.9975e-4),  # 5e-4 * 1999 / 2000
        (2000, 4.954978e-4),  # 5e-4 * 0.99 ** 0.9, counted from step 0
        (100_000, 2.679434e-4),  # 5e-4 * 0.5 ** 0.9
    ],
)
def test_deeplab2_counts_from_step_0_behind_its_warm_up(step, expected):
    assert rate(DEEPLAB2, "head/kernel", step) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "step, expected",
    [
        (0, 1e-6),
        (500, 4.967447e-4),  # 1e-3 * (0.001 + 0.999 / 2) * (1 - 1 / 120) ** 0.9 = 1e-3 * 0.5005 * 0.9924969
        (30_000, 5.358867e-4),  # 1e-3 * 0.5 ** 0.9
    ],
)
def test_detectron2_multiplies_warm_up_and_poly(step, expected):
    assert rate(DETECTRON2_DEEPLAB, "head/kernel", step) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "path, step, expected",
    [
        ("head/bias", 250, 5e-5),
        ("head/bias", 500, 1e-4),
        ("queries", 44_596, 5.358867e-5),  # half of the 88,192 steps from 500 on: 1e-4 * 0.5 ** 0.9
        ("norm/gamma", 499, 0.0),
        ("norm/gamma", 500, 0.0),
        ("norm/gamma", 1000, 5e-5),  # half of its warm-up
        ("norm/gamma", 1500, 1e-4),
        ("norm/gamma", 45_096, 5.358867e-5),  # half of the 87,192 steps from 1,500 on
        ("block22_mlp/kernel", 1500, 8e-5),  # 0.8 ** (24 - 1 - 22)
        ("block0_mlp/bias", 1500, 5.902958e-7),  # 0.8 ** 23 = 0.005902958
        ("patch_embedding/kernel", 1500, 5.902958e-7),
    ],
)
def test_eomt_starts_its_backbone_when_the_rest_has_warmed_up(path, step, expected):
    assert rate(EOMT, path, step) == pytest.approx(expected, rel=1e-5)


def test_eomt_decays_everything():
    assert {rule.weight_decay for rule in variable_rules(config_of(EOMT), TRANSFORMER)} == {0.05}
