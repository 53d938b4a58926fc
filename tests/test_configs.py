from pathlib import Path

import numpy as np
import pytest

from tests.data.sets.cityscapes_files import KEYS, make_cityscapes
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.experiment import Experiment

FOLDER = Path(__file__).parents[1] / "configs"
FILES = sorted(FOLDER.rglob("*.yaml"))
OFFICIAL = ("cityscapes", "coco", "ade20k")


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER))


def test_there_are_configurations():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_configuration_is_a_valid_experiment(path):
    assert Experiment.from_yaml(path).architecture.name == path.parent.name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_configuration_opens_with_its_paper_numbers_and_command(path):
    header = path.read_text(encoding="utf-8").splitlines()[:6]
    keys = [line.removeprefix("# ").split(":")[0] for line in header[1:5]]
    assert keys == ["Paper", "Published", "Parameters", "Command"]
    assert f"tfpanoptic train configs/{name_of(path)} --out " in header[4]


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stem.endswith(("cityscapes", "coco", "ade20k"))], ids=name_of
)
def test_a_configuration_of_an_official_set_names_its_folder(path):
    data = Experiment.from_yaml(path).to_dict()["data"]
    assert (data["name"], data["root"]) == (path.stem.split("_")[-1],) * 2


def test_cityscapes_is_found_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("TFPANOPTIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(make_cityscapes(tmp_path / "cityscapes").parent)
    experiment = Experiment.from_yaml(FOLDER / "panoptic_deeplab" / "resnet50_os32_cityscapes.yaml")
    assert [record.image_id for record in experiment.load_data("val").records] == list(KEYS["val"])


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_configuration_names_its_trainable_parameters(path, no_random_weights):
    experiment = Experiment.from_yaml(path)
    if experiment.data.name == "custom":
        categories = CategoryTable(tuple(Category(i, f"c{i}", i > 3, (0, 0, 0), i) for i in range(1, 13)))
    else:
        categories = experiment.load_categories()
    network = experiment.architecture.build(experiment.model, categories).train
    counted = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    header = path.read_text(encoding="utf-8").splitlines()[3]
    assert header.startswith(f"# Parameters: {counted:,}")
