import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.training import TrainingConfig

LAYERS = {"factor": 0.8, "layers": 12, "match": "^block([0-9]+)_"}


def settings(training):
    return validate(TrainingConfig, {"steps": 100, **training}, "run.yaml", "training")


@pytest.mark.parametrize(
    "training, words",
    [
        ({"optimizer": {"name": "adam", "weight_decay": 0.1}}, "adam takes no weight_decay (found 0.1)"),
        (
            {"optimizer": {"name": "adam", "groups": [{"match": "a"}, {"match": "b", "weight_decay": True}]}},
            "adam takes no groups.1.weight_decay",
        ),
        ({"optimizer": {"name": "adamw", "decay": "coupled"}}, "decay 'coupled' is of sgd, found it with adamw"),
        (
            {"optimizer": {"groups": [{"match": "(a"}]}},
            "training.optimizer.groups.0.match: expected a regular expression",
        ),
        ({"optimizer": {"groups": [{"match": "a", "weight_decay": -1}]}}, "expected a number from 0 on, true or false"),
        ({"optimizer": {"groups": [{"match": "a", "learning_rate_factor": 0}]}}, "greater than 0"),
        ({"optimizer": {"groups": [{"match": "a", "rate": 1}]}}, "unknown key training.optimizer.groups.0.rate"),
        ({"optimizer": {"groups": [{"frozen": True}]}}, "training.optimizer.groups.0.match is missing"),
        (
            {"optimizer": {"layer_decay": {**LAYERS, "match": "^block"}}},
            "expected one group, the layer's number, found 0",
        ),
        ({"optimizer": {"betas": [0.9, 1.0]}}, "training.optimizer.betas.1"),
        (
            {"optimizer": {"rescale_momentum": True}},
            "rescale_momentum is of sgd in keras' arithmetic, found it with adam",
        ),
        (
            {"optimizer": {"name": "sgd", "arithmetic": "pytorch", "rescale_momentum": True}},
            "rescale_momentum is of sgd in keras' arithmetic, found it with sgd, pytorch",
        ),
        ({"optimizer": {"name": "sgd", "rescale_momentum": True}}, "needs schedule.name step, found poly"),
        ({"schedule": {"name": "step"}}, "drop_steps are what step needs and only step takes, found ()"),
        ({"schedule": {"name": "poly", "drop_steps": [3]}}, "only step takes, found (3,)"),
        ({"schedule": {"name": "step", "drop_steps": [9, 3]}}, "expected rising steps, found (9, 3)"),
        ({"schedule": {"name": "step", "drop_steps": [3, 100]}}, "schedule.drop_steps 100 must be below steps 100"),
        ({"schedule": {"warmup_steps": 100}}, "schedule.warmup_steps 100 must be below steps 100"),
        ({"batch_size": 6, "accumulate": 4}, "batch_size must be a multiple of accumulate 4, found 6"),
        (
            {"optimizer": {"groups": [{"match": "a", "start_step": 60}]}, "schedule": {"warmup_steps": 40}},
            "optimizer.groups.0: its warm-up ends at 100, must be below steps 100",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(training, words):
    with pytest.raises(InputError) as error:
        settings(training)
    message = str(error.value)
    assert words in message and message.startswith("run.yaml: ")


def test_groups_survive_the_way_through_yaml():
    groups = [{"match": "^stage1", "frozen": True}, {"match": "/bias$", "weight_decay": False, "start_step": 5}]
    config = settings({"optimizer": {"name": "adamw", "groups": groups, "layer_decay": LAYERS}})
    assert TrainingConfig.model_validate(config.model_dump(mode="json")) == config
