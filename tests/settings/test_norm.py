import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.layers.norm import Norm
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.norm import NormConfig


def test_settings_have_the_defaults_of_the_record():
    assert Norm(**NormConfig().model_dump()) == Norm()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "layer"}, "norm.kind: .*frozen.*found 'layer'"),
        ({"epsilon": 0}, "norm.epsilon: .*found 0"),
        ({"momentum": 1.0}, "norm.momentum: .*found 1.0"),
        ({"groups": 0}, "norm.groups: .*found 0"),
        ({"eps": 1e-5}, "unknown key norm.eps"),
    ],
)
def test_a_wrong_setting_is_told_by_its_key(settings, words):
    with pytest.raises(InputError, match=words):
        validate(NormConfig, settings, "run.yaml", "norm")
