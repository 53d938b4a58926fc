import os
from pathlib import Path

import pytest
import yaml

from tfpanoptic.experiment import Experiment

SPLIT = {"images": "photos", "annotations": "photos.json", "panoptic": "photos_png"}


@pytest.fixture
def places(tmp_path, tiny_settings, monkeypatch):
    """A configuration in `project`, and another folder, which is the working directory."""
    tiny_settings["data"] = {"name": "coco_panoptic", "train": SPLIT, "val": SPLIT, "categories": "coco"}
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (project / "c.yaml").write_text(yaml.safe_dump(tiny_settings))
    monkeypatch.chdir(elsewhere)
    return project, elsewhere


def read(config, overrides=()):
    return Experiment.from_yaml(config, overrides)


@pytest.mark.parametrize("config", ["absolute", "relative"])
def test_a_relative_path_starts_at_the_folder_of_the_configuration(places, config, capsys):
    project, _elsewhere = places
    (project / "photos").mkdir()
    file = project / "c.yaml" if config == "absolute" else Path(os.path.relpath(project / "c.yaml"))
    assert read(file).data.train.images == str(project / "photos")
    assert capsys.readouterr().err == ""


def test_what_is_not_beside_the_configuration_is_looked_for_in_the_working_directory(places, capsys):
    project, elsewhere = places
    (elsewhere / "photos").mkdir()
    assert read(project / "c.yaml").data.val.images == str(elsewhere / "photos")
    assert capsys.readouterr().err == ""


def test_a_path_that_means_two_things_is_told(places, capsys):
    project, elsewhere = places
    (elsewhere / "photos.json").touch()
    (project / "photos.json").touch()
    assert read(project / "c.yaml").data.train.annotations == str(project / "photos.json")
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith(f"{project / 'c.yaml'}: data.train.annotations: taking {project / 'photos.json'}")
    assert line.endswith(f"not {elsewhere / 'photos.json'}")


def test_paths_of_the_command_line_start_at_the_working_directory(places, capsys):
    project, elsewhere = places
    for folder in places:
        (folder / "w.safetensors").touch()
        (folder / "photos").mkdir()
    experiment = read(project / "c.yaml", ["training.initial_weights=w.safetensors", f"data.train={SPLIT}"])
    assert experiment.training.initial_weights == str(elsewhere / "w.safetensors")
    assert experiment.data.train.images == str(elsewhere / "photos")
    assert experiment.data.val.images == str(project / "photos")


def test_a_path_to_nothing_and_a_name_that_is_no_path_stay_as_they_are(places):
    project, _elsewhere = places
    for folder in places:
        (folder / "coco").mkdir()
    data = read(project / "c.yaml").data
    assert (data.train.images, data.categories) == ("photos", "coco")


def test_absolute_paths_hold_for_every_path_and_nothing_else(places):
    project, elsewhere = places
    experiment = read(project / "c.yaml", ["training.initial_weights=w.safetensors"])
    fixed = experiment.with_absolute_paths()
    assert fixed.data.train.panoptic == str(elsewhere / "photos_png")
    assert fixed.training.initial_weights == str(elsewhere / "w.safetensors")
    assert (fixed.data.categories, fixed.model) == ("coco", experiment.model)
    assert fixed.with_absolute_paths() == fixed
