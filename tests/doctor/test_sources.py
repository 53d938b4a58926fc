import pytest

from tfpanoptic.data.sets.nuclei import FOLDER
from tfpanoptic.doctor.sources import find_source
from tfpanoptic.errors import InputError


def test_bundled_data_have_the_photos_of_the_other_split_beside_them():
    source = find_source("nuclei", None, "val", None, None)
    assert (source.images, source.annotations) == (FOLDER / "val/images", FOLDER / "val/panoptic.json")
    assert source.other == (FOLDER / "train/images", FOLDER / "train/panoptic.json")
    assert len(source.load()) == 40 and not source.configured


@pytest.mark.parametrize("name", [None, "nuclei"])
def test_data_that_the_configuration_names_have_its_categories(name, tiny_experiment):
    assert find_source(name, tiny_experiment, "train", None, None).configured


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
