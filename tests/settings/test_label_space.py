import pytest
import yaml

from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.label_space import RemapCategory, RemapConfig

YAML = """
categories:
  vehicle: [car, truck, bus]
  ground: {of: [road, sidewalk], color: [128, 64, 128]}
  person: {thing: false}
  dog:
drop: [sky]
void: background
"""


def remap_of(text) -> RemapConfig:
    return validate(RemapConfig, yaml.safe_load(text), "c.yaml", "data.remap")


def test_a_category_is_a_list_or_says_more():
    remap = remap_of(YAML)
    assert remap.categories == {
        "vehicle": RemapCategory(of=("car", "truck", "bus")),
        "ground": RemapCategory(of=("road", "sidewalk"), color=(128, 64, 128)),
        "person": RemapCategory(thing=False),
        "dog": RemapCategory(),
    }
    assert remap.sources == {
        "sky": None,
        **dict.fromkeys(("car", "truck", "bus"), "vehicle"),
        **dict.fromkeys(("road", "sidewalk"), "ground"),
        "person": "person",
        "dog": "dog",
    }


def test_it_survives_the_configuration_of_a_run(tiny_settings, tmp_path):
    tiny_settings["data"] = {"name": "nuclei", "remap": yaml.safe_load(YAML), "select_share": 0.1, "share_group": "^a"}
    experiment = Experiment.from_dict(tiny_settings)
    (tmp_path / "c.yaml").write_text(experiment.to_yaml())
    assert Experiment.from_yaml(tmp_path / "c.yaml") == experiment
    assert next(iter(experiment.to_dict()["data"])) == "name"


def test_it_can_be_an_override(tiny_experiment, tmp_path):
    (tmp_path / "c.yaml").write_text(tiny_experiment.to_yaml())
    experiment = Experiment.from_yaml(tmp_path / "c.yaml", ["data.remap.void=rest", "data.remap.others=drop"])
    assert experiment.data.remap == RemapConfig(void="rest", others="drop")


@pytest.mark.parametrize(
    "text, words",
    [
        ("categories: {a: [x, y], b: [y]}", "data.remap: a category becomes one other .* named twice: y"),
        ("categories: {a: [x, x]}", "named twice: x"),
        ("{categories: {a: [x]}, drop: [x]}", "named twice: x"),
        ("categories: {a: []}", r"data\.remap\.categories\.a\.of: .*at least 1 item"),
        ("categories: {a: car}", r"data\.remap\.categories\.a: .*found 'car'"),
        ("categories: {a: {of: [x], things: true}}", r"unknown key data\.remap\.categories\.a\.things"),
        ("categories: {a: {color: [1, 2, 256]}}", r"data\.remap\.categories\.a\.color\.2: .*255.*found 256"),
        ("others: void", "data.remap.others: .*'keep' or 'drop', found 'void'"),
        ("{categories: {a: {thing: true}}, void: a}", "void: a is a thing; unlabelled pixels can be stuff alone"),
    ],
)
def test_what_makes_no_sense_is_one_line(text, words):
    with pytest.raises(InputError, match=words) as caught:
        remap_of(text)
    assert "\n" not in str(caught.value)
