import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment


def test_the_resolved_yaml_gives_the_experiment_back(tiny_experiment, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(tiny_experiment.to_yaml())
    assert Experiment.from_yaml(path) == tiny_experiment


def test_the_resolved_configuration_holds_the_defaults(tiny_experiment):
    assert tiny_experiment.to_dict()["model"]["loss_weights"] == {"semantic": 1.0, "center": 200.0, "offset": 0.01}


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("architecture",), "mask_rcnn", "architecture: expected one of panoptic_deeplab.*found 'mask_rcnn'"),
        (("data", "name"), "coco", "data.name: expected one of .*nuclei.*found 'coco'"),
        (("model", "sigma"), 3, "unknown key model.sigma"),
        (("model", "backbone", "output_stride"), 7, "model.backbone.output_stride"),
        (("training", "optimizer", "name"), "lion", "training.optimizer.name.*found 'lion'"),
        (("training", "schedule"), {"warmup_steps": 9}, "warmup_steps 9 must be below steps 6"),
        (("training", "optimizer", "name"), "adam", "adamw does"),
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


def test_a_missing_section_is_named(tiny_settings):
    del tiny_settings["augment"]
    with pytest.raises(InputError, match="augment is missing"):
        Experiment.from_dict(tiny_settings)
