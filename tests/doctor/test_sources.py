import pytest

from tfpanoptic.data.nuclei import FOLDER
from tfpanoptic.doctor.sources import find_source
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment


def test_bundled_data_have_the_photos_of_the_other_split_beside_them():
    source = find_source("nuclei", None, "val", None, None)
    assert (source.images, source.annotations) == (FOLDER / "val/images", FOLDER / "val/panoptic.json")
    assert source.other == (FOLDER / "train/images", FOLDER / "train/panoptic.json")
    assert len(source.load()) == 40 and not source.configured


@pytest.mark.parametrize("name", [None, "nuclei"])
def test_data_that_the_configuration_names_have_its_categories(name, tiny_experiment):
    assert find_source(name, tiny_experiment, "train", None, None).configured


def test_of_data_without_a_validation_part_all_files_are_checked(tiny_settings):
    train = {"images": "images", "annotations": "panoptic.json", "panoptic": "panoptic"}
    train = {key: str(FOLDER / "train" / name) for key, name in train.items()}
    tiny_settings["data"] = {"name": "coco_panoptic", "train": train, "val_share": 0.2}
    source = find_source(None, Experiment.from_dict(tiny_settings), "val", None, None)
    assert source.annotations == FOLDER / "train/panoptic.json" and source.other is None
    assert len(source.load()) < 60  # of 120; the ceiling is that of the part


def test_a_remap_is_that_of_the_ceiling(tiny_settings):
    tiny_settings["data"] = {"name": "nuclei", "remap": {"drop": ["background"]}}
    source = find_source(None, Experiment.from_dict(tiny_settings), "val", None, None)
    assert [category.name for category in source.load().categories] == ["nucleus"]


def test_a_folder_stands_for_its_split_and_knows_the_other_one():
    source = find_source(str(FOLDER), None, "train", None, None)
    assert source.panoptic == FOLDER / "train/panoptic" and source.other[0] == FOLDER / "val/images"
    alone = find_source(str(FOLDER / "train"), None, "val", None, None)
    assert alone.images == FOLDER / "train/images" and alone.other is None


def test_a_json_has_its_folders_from_the_arguments(tmp_path):
    path = str(FOLDER / "val/panoptic.json")
    assert find_source(path, None, "val", tmp_path, FOLDER / "val/panoptic").images == tmp_path
    with pytest.raises(InputError, match="needs --images DIR and --panoptic DIR"):
        find_source(path, None, "val", tmp_path, None)
