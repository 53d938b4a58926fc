import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.models import ARCHITECTURES


def test_the_resolved_yaml_gives_the_experiment_back(tiny_experiment, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(tiny_experiment.to_yaml())
    assert Experiment.from_yaml(path) == tiny_experiment


def test_the_resolved_configuration_holds_the_defaults(tiny_experiment):
    assert tiny_experiment.to_dict()["model"]["loss_weights"] == {"semantic": 1.0, "center": 200.0, "offset": 0.01}


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("model", "name"), "mask_rcnn", "model.name: expected one of .*panoptic_deeplab.*found 'mask_rcnn'"),
        (("augment", "crop"), [60, 64], r"augment.crop: .*found \[60, 64\]; nearest are \[48, 64\] or \[64, 64\]"),
        (("input",), {"pad_to": [64, 65]}, r"input.pad_to: .*found \[64, 65\]; nearest are \[64, 64\] or \[64, 80\]"),
        (("data", "name"), "cocoa", "data.name: expected one of .*nuclei.*found 'cocoa'"),
        (("model", "sigma"), 3, "unknown key model.sigma"),
        (("model", "backbone", "output_stride"), 7, "model.backbone.output_stride"),
        (("training", "optimizer", "name"), "lion", "training.optimizer.name.*found 'lion'"),
        (("training", "schedule"), {"warmup_steps": 9}, "warmup_steps 9 must be below steps 6"),
        (("training", "optimizer", "name"), "adam", "adamw does"),
        (("test_time",), {"scales": [0]}, "test_time.scales.0: .*greater than or equal to 0.1, found 0"),
        (("trainig",), {}, "unknown key trainig"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(tiny_settings, path, value, words):
    *groups, key = path
    place = tiny_settings
    for group in groups:
        place = place[group]
    place[key] = value
    with pytest.raises(InputError, match=words) as error:
        Experiment.from_dict(tiny_settings, "run.yaml")
    assert str(error.value).startswith("run.yaml") and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["panoptic_fpn", "upsnet"])
@pytest.mark.parametrize("test_time", [{"flip": True}, {"scales": [1, 1.5]}])
def test_views_of_an_architecture_that_cannot_average_them_are_refused(tiny_settings, name, test_time):
    backbone = {"name": "resnet10", "max_pool": True}
    settings = {**tiny_settings, "model": {"name": name, "backbone": backbone}, "test_time": test_time}
    with pytest.raises(InputError, match=f"test_time: .*panoptic_deeplab.*{name}") as error:
        Experiment.from_dict(settings, "run.yaml")
    assert str(error.value).startswith("run.yaml: ") and "\n" not in str(error.value)
    assert not Experiment.from_dict({**settings, "test_time": {"scales": [1]}}).test_time.augments


def test_a_run_from_before_there_were_views_has_none(tiny_experiment):
    settings = tiny_experiment.to_dict()
    del settings["test_time"]
    assert Experiment.from_dict(settings) == tiny_experiment


@pytest.mark.parametrize("steps", [6, 7])
def test_a_run_that_ends_before_its_network_is_that_of_inference_is_refused(tiny_settings, monkeypatch, steps):
    record = replace(ARCHITECTURES["panoptic_deeplab"], last_steps=lambda config: {"masked_attention": 7})
    monkeypatch.setitem(ARCHITECTURES, "panoptic_deeplab", record)
    tiny_settings["training"]["steps"] = steps
    if steps == 7:
        assert Experiment.from_dict(tiny_settings).training.steps == 7
        return
    words = "run.yaml: training.steps: expected at least 7, where model.masked_attention ends, found 6"
    with pytest.raises(InputError, match=f"^{words}$"):
        Experiment.from_dict(tiny_settings, "run.yaml")


def test_a_missing_section_is_named(tiny_settings):
    del tiny_settings["augment"]
    with pytest.raises(InputError, match="augment is missing"):
        Experiment.from_dict(tiny_settings)


def test_a_configuration_is_read_and_described_without_tensorflow_and_keras(tmp_path):
    code = """
import json, sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
from tfpanoptic.experiment import DEMO_CONFIG, Experiment
experiment = Experiment.from_yaml(DEMO_CONFIG)
print(experiment.grid, json.dumps(Experiment.model_json_schema())[:1])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert run.stdout.strip() == "k * 16 {", run.stderr[-2000:]


def test_the_schema_for_editors_knows_every_section(tiny_experiment):
    schema = Experiment.model_json_schema()
    assert set(schema["properties"]) == {"data", "input", "augment", "model", "training", "test_time"}
    assert schema["properties"]["model"]["discriminator"]["propertyName"] == "name"


def test_the_schema_requires_the_names_that_the_reader_requires():
    definitions = Experiment.model_json_schema()["$defs"]
    for name in ("PanopticDeepLabConfig", "ResNetConfig", "NucleiConfig", "CocoPanopticConfig"):
        assert "name" in definitions[name]["required"]


@pytest.mark.parametrize("rate", [float("inf"), float("nan")])
def test_numbers_are_finite(tiny_settings, rate):
    tiny_settings["training"]["optimizer"]["learning_rate"] = rate
    with pytest.raises(InputError, match="training.optimizer.learning_rate: .*finite"):
        Experiment.from_dict(tiny_settings, "run.yaml")


def test_groups_that_do_not_divide_the_channels_are_named_with_their_file(tiny_settings, tmp_path):
    from tfpanoptic.segmenter import PanopticSegmenter

    tiny_settings["model"]["norm"] = {"kind": "group", "groups": 32}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(tiny_settings))
    with pytest.raises(InputError, match=r"run.yaml: model.norm.groups: expected a divisor of 4 channels .*found 32"):
        PanopticSegmenter.from_yaml(path)
