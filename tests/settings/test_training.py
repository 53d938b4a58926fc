import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.training import TrainingConfig


def settings(training):
    return validate(TrainingConfig, {"steps": 100, **training}, "run.yaml", "training")


@pytest.mark.parametrize(
    "training, words",
    [
        ({"schedule": {"name": "step"}}, "drop_steps are what step needs and only step takes, found ()"),
        ({"schedule": {"name": "poly", "drop_steps": [3]}}, "only step takes, found (3,)"),
        ({"schedule": {"name": "step", "drop_steps": [9, 3]}}, "expected rising steps, found (9, 3)"),
        ({"schedule": {"name": "step", "drop_steps": [3, 100]}}, "schedule.drop_steps 100 must be below steps 100"),
        ({"schedule": {"warmup_steps": 100}}, "schedule.warmup_steps 100 must be below steps 100"),
    ],
)
def test_what_does_not_fit_together_is_refused(training, words):
    with pytest.raises(InputError) as error:
        settings(training)
    message = str(error.value)
    assert words in message and message.startswith("run.yaml: ")
