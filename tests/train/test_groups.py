import pytest

from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.groups import Rule, variable_rules

PATHS = ["stem_conv/kernel", "stem_norm/gamma", "stage1_conv/kernel", "stage1_conv/bias", "head/kernel", "head/bias"]


def rules(optimizer, paths=PATHS, schedule=None):
    training = {"steps": 100, "optimizer": {"name": "adamw", **optimizer}, "schedule": schedule or {}}
    return dict(zip(paths, variable_rules(TrainingConfig.model_validate(training), paths), strict=True))


def factors(layer_decay, paths):
    return {path: rule.learning_rate_factor for path, rule in rules({"layer_decay": layer_decay}, paths).items()}


def test_without_groups_only_biases_and_normalisation_are_different():
    kernel, other = Rule(1.0, 0.3, 0, 7), Rule(1.0, 0.0, 0, 7)
    expected = [kernel, other, kernel, other, kernel, other]
    assert list(rules({"weight_decay": 0.3}, schedule={"warmup_steps": 7}).values()) == expected


def test_a_group_changes_the_variables_that_it_matches():
    group = {"match": "^stage[1-3]_", "learning_rate_factor": 0.5, "start_step": 9, "warmup_steps": 3}
    by_path = rules({"weight_decay": 0.3, "groups": [group]})
    assert by_path["stage1_conv/kernel"] == Rule(0.5, 0.3, 9, 3)
    assert by_path["stage1_conv/bias"] == Rule(0.5, 0.0, 9, 3)
    assert by_path["head/kernel"] == Rule(1.0, 0.3, 0, 0)


def test_a_later_group_overrides_only_what_it_sets():
    groups = [
        {"match": "^stage1", "learning_rate_factor": 0.5, "weight_decay": 0.1},
        {"match": "/bias$", "learning_rate_factor": 2.0},
    ]
    by_path = rules({"weight_decay": 0.3, "groups": groups})
    assert by_path["stage1_conv/kernel"] == Rule(0.5, 0.1, 0, 0)
    assert by_path["stage1_conv/bias"] == Rule(2.0, 0.1, 0, 0)
    assert by_path["head/bias"] == Rule(2.0, 0.0, 0, 0)


@pytest.mark.parametrize("decay, expected", [(True, 0.3), (False, 0.0), (0.2, 0.2), (0, 0.0)])
def test_decay_is_the_optimizers_none_or_a_number(decay, expected):
    by_path = rules({"weight_decay": 0.3, "groups": [{"match": ".", "weight_decay": decay}]})
    assert {rule.weight_decay for rule in by_path.values()} == {expected}


def test_frozen_variables_have_no_rule():
    groups = [{"match": "^st", "frozen": True}, {"match": "^stage1", "frozen": False}]
    by_path = rules({"groups": groups})
    assert [path for path, rule in by_path.items() if rule is None] == ["stem_conv/kernel", "stem_norm/gamma"]


def test_nothing_to_train_is_refused():
    with pytest.raises(InputError, match="training.optimizer.groups: all variables are frozen"):
        rules({"groups": [{"match": "", "frozen": True}]})


def test_a_pattern_that_matches_nothing_is_named_with_a_few_paths():
    groups = [{"match": "head"}, {"match": "^res4/"}]
    with pytest.raises(
        InputError,
        match=r"training\.optimizer\.groups\.1\.match: '\^res4/' matches no variable; .*stem_conv/kernel, .*",
    ):
        rules({"groups": groups})


VIT = [
    "patch_embed/kernel",
    "positions",
    "block0_mlp/kernel",
    "block1_mlp/bias",
    "block3_mlp/kernel",
    "norm/gamma",
    "head/bias",
]


def test_the_rate_falls_with_the_depth():
    # 0.8 ** (L - 1 - i) with L = 4: 0.512, 0.64, 1 for blocks 0, 1, 3; what comes before as block 0, the rest 1.
    layer_decay = {"factor": 0.8, "layers": 4, "match": "^block([0-9]+)_", "first": "^(patch_embed/|positions)"}
    assert factors(layer_decay, VIT) == pytest.approx(dict(zip(VIT, [0.512, 0.512, 0.512, 0.64, 1.0, 1.0, 1.0])))


def test_blocks_that_the_pattern_leaves_out_keep_the_whole_rate():
    """EoMT on DINOv3: its query blocks do. 1 of 4 blocks here, as 0.8 ** 2 for block 1."""
    layer_decay = {"factor": 0.8, "layers": 4, "match": "^block([0-2])_", "first": "^(patch_embed/|positions)"}
    assert factors(layer_decay, VIT)["block3_mlp/kernel"] == 1.0
    assert factors(layer_decay, VIT)["block1_mlp/bias"] == pytest.approx(0.64)


def test_the_factors_of_depth_and_of_a_group_multiply():
    layer_decay = {"factor": 0.5, "layers": 4, "match": "^block([0-9]+)_"}
    by_path = rules({"layer_decay": layer_decay, "groups": [{"match": "bias$", "learning_rate_factor": 3.0}]}, VIT)
    assert by_path["block1_mlp/bias"].learning_rate_factor == pytest.approx(3 * 0.25)
    assert by_path["head/bias"].learning_rate_factor == 3.0


@pytest.mark.parametrize(
    "layer_decay, words",
    [
        ({"layers": 3, "match": "^block([0-9]+)_"}, "from 0 to 2 in block3_mlp/kernel, found '3'"),
        ({"layers": 4, "match": "^b([a-z]+)"}, "from 0 to 3 in block0_mlp/kernel, found 'lock'"),
        ({"layers": 4, "match": "^layer([0-9]+)"}, "layer_decay.match: '^layer([0-9]+)' matches no variable"),
        ({"layers": 4, "match": "^block([0-9]+)", "first": "^cls"}, "layer_decay.first: '^cls' matches no variable"),
    ],
)
def test_a_wrong_layer_decay_is_named(layer_decay, words):
    with pytest.raises(InputError) as error:
        factors({"factor": 0.8, **layer_decay}, VIT)
    assert words in str(error.value)


def test_a_warm_up_that_two_groups_set_together_ends_within_the_steps():
    """60 steps before the start of one group and 50 of warm-up of another end at 110, of 100 steps."""
    groups = [{"match": "kernel", "start_step": 60}, {"match": "^head/", "warmup_steps": 50}]
    with pytest.raises(SettingError, match="training.optimizer.groups: the warm-up of head/kernel ends at step 110"):
        rules({"groups": groups})


def test_momentum_is_not_rescaled_in_a_warm_up():
    """There the rate does not drop."""
    optimizer = {"name": "sgd", "rescale_momentum": True}
    schedule = {"name": "step", "drop_steps": [20, 80], "warmup_steps": 30}
    with pytest.raises(SettingError, match="training.optimizer.rescale_momentum: the first drop, at 20, .*ends at 30"):
        rules(optimizer, schedule=schedule)
    assert rules(optimizer, schedule={**schedule, "drop_steps": [30, 80]})
