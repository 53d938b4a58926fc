import subprocess
from pathlib import Path

import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.experiment import Experiment

FOLDER = Path(__file__).parents[1] / "configs"
FILES = sorted(FOLDER.rglob("*.yaml"))


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


@pytest.mark.parametrize("path", [path for path in FILES if "cityscapes" in path.name], ids=name_of)
def test_the_loop_of_the_comment_gives_cityscapes_the_names_of_its_json(path, tmp_path):
    comment = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#   ")]
    for split, city in (("train", "aachen"), ("val", "lindau")):
        photos = tmp_path / "cityscapes" / "leftImg8bit" / split / city
        photos.mkdir(parents=True)
        (photos / f"{city}_000000_000019_leftImg8bit.png").write_text(city)
    subprocess.run(["sh", "-c", "\n".join(line[1:] for line in comment)], cwd=tmp_path / "cityscapes", check=True)
    data = Experiment.from_yaml(path).data
    for split, city in ((data.train, "aachen"), (data.val, "lindau")):
        # createPanopticImgs.py: "_instanceIds.png" of gtFine's file name becomes "_leftImg8bit.png".
        assert (tmp_path / split.images / f"{city}_000000_000019_gtFine_leftImg8bit.png").read_text() == city


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_configuration_names_its_trainable_parameters(path, no_random_weights):
    experiment = Experiment.from_yaml(path)
    if "coco" in path.name:
        categories = [Category(i, f"c{i}", i <= 80, (0, 0, 0), i) for i in range(1, 134)]
    elif "cityscapes" in path.name:
        categories = [Category(i, f"c{i}", i > 11, (0, 0, 0), i) for i in range(1, 20)]
    elif "own_photos" in path.name:
        categories = [Category(i, f"c{i}", i > 3, (0, 0, 0), i) for i in range(1, 13)]
    else:
        categories = list(experiment.load_categories())
    network = experiment.architecture.build(experiment.model, CategoryTable(tuple(categories))).train
    counted = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    header = path.read_text(encoding="utf-8").splitlines()[3]
    assert header.startswith(f"# Parameters: {counted:,}")
