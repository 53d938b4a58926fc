import subprocess
import sys
from typing import Annotated, Any

import keras
import pytest

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.errors import InputError
from tfpanoptic.layers.norm import Norm
from tfpanoptic.settings.config import Named, StrictConfig, validate

# One name of each record.
ONE_EACH = {record.config: name for name, record in reversed(BACKBONES.items())}.values()


class Model(StrictConfig):
    backbone: Annotated[Any, Named(BACKBONES)]


def read(backbone):
    return validate(Model, {"backbone": backbone}, "run.yaml", "model").backbone


@pytest.mark.parametrize("name", BACKBONES)
def test_every_name_gives_the_configuration_of_its_record(name):
    config = read({"name": name})
    assert type(config) is BACKBONES[name].config and config.name == name


def test_a_resolved_configuration_gives_itself_back():
    config = Model(backbone={"name": "resnet50", "stem": "beta"})
    assert Model.model_validate(config.model_dump()) == config == Model(backbone=config.backbone)


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_endpoints_have_the_strides_of_the_record(no_random_weights, name, output_stride):
    backbone = BACKBONES[name]
    smaller = {"width_multiplier": 0.125, "layer_multiplier": 0.4}
    smaller = {key: value for key, value in smaller.items() if key in backbone.config.model_fields}
    config = backbone.config(name=name, output_stride=output_stride, **smaller)
    height, width = 97, 128
    endpoints = backbone.build(keras.Input((height, width, 3)), config, Norm())
    grids = {
        endpoint: (-(-height // stride), -(-width // stride)) for endpoint, stride in backbone.strides(config).items()
    }
    assert {endpoint: tuple(x.shape[1:3]) for endpoint, x in endpoints.items()} == grids


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (
            {"name": "resnet51"},
            r"model\.backbone\.name: expected one of resnet10, .*mobilenet_v3_small.*found 'resnet51'",
        ),
        ({"output_stride": 16}, r"model\.backbone\.name is missing; expected one of resnet10"),
        ("resnet50", r"model\.backbone: .*dictionary.*found 'resnet50'"),
        (
            {"name": "mobilenet_v3_small", "stem": "beta"},
            r"unknown key model\.backbone\.stem; known here: name, output_stride",
        ),
        ({"name": "mobilenet_v3_small", "width_multiplier": 0.5}, r"unknown key model\.backbone\.width_multiplier"),
        ({"name": "resnet50", "output_stride": 7}, r"model\.backbone\.output_stride: .*8, 16 or 32.*found 7"),
    ],
)
def test_what_a_backbone_does_not_have_is_told_by_its_key(backbone, words):
    with pytest.raises(InputError, match=words) as error:
        read(backbone)
    assert str(error.value).startswith("run.yaml: ") and "\n" not in str(error.value)


def test_editors_see_the_options_of_every_record():
    kinds = Model.model_json_schema()["$defs"]
    assert kinds.keys() == {record.config.__name__ for record in BACKBONES.values()}
    assert "stride_on" in kinds["ResNetConfig"]["properties"]


def test_configurations_are_read_without_keras():
    code = """
import sys
sys.modules["keras"] = sys.modules["tensorflow"] = None
from tfpanoptic.backbones import BACKBONES
for name, backbone in BACKBONES.items():
    print(name, backbone.strides(backbone.config(name=name, output_stride=16))["res5"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.splitlines() == [f"{name} 16" for name in BACKBONES], run.stderr[-2000:]
