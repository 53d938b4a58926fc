"""The published recipes as settings, and their learning rates at steps worked out by hand."""

import re
from contextlib import ExitStack
from pathlib import Path

import keras
import pytest
import yaml

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.experiment import Experiment
from tfpanoptic.layers.norm import Norm
from tfpanoptic.settings.sizes import resized_size
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

# Paths of our ResNet-50 and of a head: the stem, res2, then what is trained.
CONVOLUTIONS = [
    "stem/conv/kernel",
    "stage2_block1_conv1/conv/kernel",
    "stage3_block1_conv1/conv/kernel",
    "stage3_block1_conv1/batch_norm/gamma",
    "head/kernel",
    "head/bias",
]
# Some of EoMT's.
TRANSFORMER = [
    "patch_embedding/kernel",
    "tokens/class_token",
    *(f"block{number}/fc1/bias" for number in range(12)),
    "final_norm/gamma",
    "queries/table",
    "class_head/bias",
]
EOMT = Path(__file__).parents[2] / "configs" / "eomt"
# Those of the published ones, by their sizes and form: blocks, query blocks, and the paths of the transformer.
DEPTHS = {"small": (12, 3), "base": (12, 3), "large": (24, 4)}
PUBLISHED = [path.stem for path in sorted(EOMT.glob("*_*0_*.yaml")) if path.stem.startswith(tuple(DEPTHS))]


def config_of(text):
    return TrainingConfig.model_validate(yaml.safe_load(text))


def variable(path):
    *layers, name = path.split("/")
    with ExitStack() as scopes:
        for layer in layers:
            scopes.enter_context(keras.name_scope(layer))
        return keras.Variable([0.0], name=name)


def rate(text, path, step, paths=tuple(CONVOLUTIONS)):
    variables = [variable(other) for other in paths]
    assert [other.path for other in variables] == list(paths)
    updates = Updates(config_of(text) if isinstance(text, str) else text, variables)
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


def eomt(name) -> Experiment:
    return Experiment.from_yaml(EOMT / f"{name}.yaml")


def eomt_rate(name, path, step):
    """The rate by the file's recipe, of a variable among those of its transformer."""
    depth, _ = DEPTHS[name.split("_")[0]]
    blocks = [f"block{number}/fc1/bias" for number in range(12, depth)]
    return rate(eomt(name).training, path, step, (*TRANSFORMER, *blocks))


# Worked out in float64; at 44,346, half of the run, of 88,192 steps from 500 on, of 87,192 from 1,500 on, of 86,692 from
# 2,000 on and of 83,692 from 5,000 on.
@pytest.mark.parametrize(
    "name, path, step, expected",
    [
        ("large_640_coco", "class_head/bias", 250, 5e-5),
        ("large_640_coco", "class_head/bias", 500, 1e-4),
        ("large_640_coco", "queries/table", 1000, 9.94896e-5),  # 1e-4 * (1 - 500 / 88,192) ** 0.9
        ("large_640_coco", "queries/table", 44_346, 5.38620e-5),
        ("large_640_coco", "final_norm/gamma", 499, 0.0),
        ("large_640_coco", "final_norm/gamma", 500, 0.0),
        ("large_640_coco", "final_norm/gamma", 1000, 5e-5),  # half of its warm-up
        ("large_640_coco", "final_norm/gamma", 1500, 1e-4),
        ("large_640_coco", "final_norm/gamma", 44_346, 5.44177e-5),
        ("large_640_dinov3_coco", "queries/table", 1000, 1e-4),
        ("large_640_dinov3_coco", "queries/table", 2000, 2e-4),
        ("large_640_dinov3_coco", "final_norm/gamma", 3500, 1e-4),
        ("large_640_dinov3_coco", "final_norm/gamma", 5000, 2e-4),
        ("large_640_dinov3_coco", "queries/table", 44_346, 1.09400e-4),
        ("large_640_dinov3_coco", "final_norm/gamma", 44_346, 1.12923e-4),
    ],
)
def test_eomt_starts_its_transformer_when_the_rest_has_warmed_up(name, path, step, expected):
    assert eomt_rate(name, path, step) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "name, path, expected",
    [
        ("small_640_coco", "patch_embedding/kernel", 8.590e-6),  # 0.8 ** 11
        ("small_640_coco", "tokens/class_token", 8.590e-6),
        ("small_640_coco", "block0/fc1/bias", 8.590e-6),
        ("small_640_coco", "block1/fc1/bias", 1.0737e-5),
        ("small_640_coco", "block6/fc1/bias", 3.2768e-5),
        ("small_640_coco", "block10/fc1/bias", 8.0e-5),
        ("base_640_coco", "block11/fc1/bias", 1.0e-4),
        ("large_640_coco", "block0/fc1/bias", 5.903e-7),  # 0.8 ** 23
        ("large_1280_ade20k", "tokens/class_token", 5.903e-7),
    ],
)
def test_the_rates_of_eomt_fall_from_block_to_block(name, path, expected):
    """At the end of the warm-up."""
    assert eomt_rate(name, path, 1500) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("name", ["small_640_dinov3_coco", "base_640_dinov3_coco", "large_640_dinov3_coco"])
def test_with_dinov3_the_query_blocks_have_the_whole_rate(name):
    depth, query_blocks = DEPTHS[name.split("_")[0]]
    for number in (0, 1, depth - query_blocks - 1, depth - query_blocks, depth - 1):
        factor = 1.0 if number >= depth - query_blocks else 0.8 ** (depth - 1 - number)
        assert eomt_rate(name, f"block{number}/fc1/bias", 5000) == pytest.approx(2e-4 * factor, rel=1e-5)


@pytest.mark.parametrize("name", ["small_640_coco", "large_640_dinov3_coco"])
def test_the_recipe_of_eomt_knows_every_variable(name):
    """Of a narrow network: each is the transformer's or new, and all of them decay."""
    experiment = eomt(name)
    narrow = experiment.model.backbone.model_copy(update={"width": 8, "heads": 2})
    categories = CategoryTable(tuple(Category(i, f"c{i}", i < 3, (0, 0, 0), i) for i in range(1, 5)))
    network = experiment.architecture.build(experiment.model.model_copy(update={"backbone": narrow}), categories).train
    paths = [weight.path for weight in network.trainable_weights]
    new = {path for path in paths if re.match("(queries|class_head|mask_head|upscale[12])/", path)}
    before = {"patch_embedding/kernel", "patch_embedding/bias", "tokens/class_token", "tokens/register_tokens"}
    before |= {"tokens/positions"} if "dinov3" not in name else set()
    depth, query_blocks = DEPTHS[name.split("_")[0]]
    start = 2000 if "dinov3" in name else 500
    for path, rule in zip(paths, variable_rules(experiment.training, paths)):
        block = re.match("block([0-9]+)/", path)
        assert (path in new) + (path in before) + bool(block) + path.startswith("final_norm/") == 1, path
        layer = int(block.group(1)) if block else 0 if path in before else depth - 1
        whole = "dinov3" in name and layer >= depth - query_blocks
        assert rule.learning_rate_factor == pytest.approx(1.0 if whole else 0.8 ** (depth - 1 - layer)), path
        assert (rule.start_step, rule.weight_decay) == (0 if path in new else start, 0.05), path
    assert before < set(paths) and len(new) == 19


def test_the_published_recipes_of_eomt_are_here():
    assert len(PUBLISHED) == 10


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_recipe_of_eomt_has_the_common_settings(name):
    """AdamW in PyTorch's arithmetic, clipped at 0.01, a batch of 16, jitter of 0.1 to 2, and square inputs."""
    experiment, side = eomt(name), int(name.split("_")[1])
    depth, query_blocks = DEPTHS[name.split("_")[0]]
    training, optimizer = experiment.training, experiment.training.optimizer
    assert (optimizer.name, optimizer.arithmetic, optimizer.epsilon) == ("adamw", "pytorch", 1e-8)
    assert (optimizer.clip_norm, training.batch_size) == (0.01, 16)
    assert (experiment.augment.crop, experiment.augment.min_scale, experiment.augment.max_scale) == (
        (side, side),
        0.1,
        2.0,
    )
    assert (experiment.input.long_side, experiment.input.pad_to) == (side, (side, side))
    model = experiment.model
    assert (model.backbone.size.depth, model.query_blocks, model.queries) == (depth, query_blocks, 200)
    assert model.backbone.form == ("dinov3" if "dinov3" in name else "dinov2")
    if model.backbone.form == "dinov2":
        assert model.backbone.positions == (side // 16, side // 16)


@pytest.mark.parametrize(
    "name, steps, annealing",
    [
        ("small_640_coco", 177_384, [(29_564, 59_128), (73_910, 103_474), (118_256, 147_820)]),
        ("base_640_dinov3_coco", 177_384, [(0, 3000), (73_910, 103_474), (118_256, 147_820)]),
        ("large_1280_coco", 88_692, [(14_782, 29_564), (29_564, 44_346), (44_346, 59_128), (59_128, 73_910)]),
        ("large_640_dinov3_coco", 88_692, [(0, 3000), (29_564, 44_346), (44_346, 59_128), (59_128, 73_910)]),
    ],
)
def test_the_masks_of_eomt_go_at_the_published_steps(name, steps, annealing):
    """12 or 24 epochs of 7,391 batches."""
    experiment = eomt(name)
    assert experiment.training.steps == steps == 7391 * (12 if "large" in name else 24)
    assert experiment.model.annealing == tuple(annealing)


@pytest.mark.parametrize("path", sorted(EOMT.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_run_of_eomt_goes_on_without_masks(path):
    experiment = Experiment.from_yaml(path)
    assert max(end for _, end in experiment.model.annealing) < experiment.training.steps


@pytest.mark.parametrize(
    "size, expected", [((480, 640), (480, 640)), ((500, 375), (640, 480)), ((267, 612), (279, 640))]
)
def test_photos_have_the_size_of_the_original(size, expected):
    """612 * 640 / 612 and 267 * 640 / 612 = 279.2; Transformers' rule would give 639."""
    assert resized_size(*size, eomt("small_640_coco").input) == expected
