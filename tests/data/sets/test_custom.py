import shutil

import pytest

from tests.data.sets.panoptic_files import write_photos, write_truth
from tfpanoptic.data.sets.custom import CustomConfig, custom_categories, load_custom
from tfpanoptic.errors import InputError, SettingError

CELL, GROUND = {"id": 7, "name": "cell", "isthing": 1}, {"id": 3, "name": "ground", "isthing": 0}


def make_part(folder, categories=(CELL, GROUND), ids=(7, 3, 7)):
    write_photos(folder / "images", ["a.png", "b.jpg"])
    write_truth(folder / "panoptic.json", folder / "panoptic", ["a.png", "b.jpg"], list(categories), ids)


@pytest.fixture
def root(tmp_path):
    make_part(tmp_path / "own/train")
    make_part(tmp_path / "own/val")
    return tmp_path / "own"


def load(root, split):
    return load_custom(CustomConfig(root=str(root)), split)


@pytest.mark.parametrize("split", ["train", "val"])
def test_both_parts_are_read(root, split):
    dataset = load(root, split)
    assert (dataset.name, dataset.split, len(dataset)) == ("custom", split, 2)
    assert [c.name for c in dataset.categories] == ["ground", "cell"]
    assert dataset.records[0].image_path == root / split / "images/a.png"


def test_categories_are_those_of_the_training_by_name(root):
    shutil.rmtree(root / "val")
    make_part(
        root / "val", ({**CELL, "id": 1}, {**GROUND, "id": 2}, {"id": 9, "name": "dirt", "isthing": 0}), (1, 9, 1)
    )
    val = load(root, "val")
    assert [c.name for c in custom_categories(CustomConfig(root=str(root)))] == ["ground", "cell"]
    assert [val.categories[c].name for c in val.records[0].segments["category"]] == ["cell", "dirt", "cell"]
    assert (val.categories.by_name()["cell"].id, val.truth_only) == (2, ("dirt",))


def test_a_thing_that_the_validation_calls_stuff_is_named(root):
    shutil.rmtree(root / "val")
    make_part(root / "val", ({**CELL, "isthing": 0}, GROUND))
    with pytest.raises(InputError, match=r"val/panoptic\.json: category cell is stuff"):
        load(root, "val")


@pytest.mark.parametrize("flat", [False, True])
def test_without_a_validation_part_val_share_is_named(root, flat):
    shutil.rmtree(root / "val")
    folder = root / "train" if flat else root
    assert len(load(folder, "train")) == 2
    with pytest.raises(SettingError, match=r"no validation part .*data\.val_share"):
        load(folder, "val")


def test_a_folder_of_something_else_is_told(root):
    with pytest.raises(SettingError, match=r"no train/panoptic\.json or panoptic\.json; .*found images, panoptic"):
        (root / "train/panoptic.json").unlink()
        load(root / "train", "train")


def test_a_folder_without_photos_is_told(root):
    shutil.rmtree(root / "train/images")
    with pytest.raises(SettingError, match="train: no images; "):
        load(root, "train")
