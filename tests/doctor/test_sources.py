import pytest

from tests.doctor.small_data import Data
from tfpanoptic.data.coco_panoptic import files_in
from tfpanoptic.data.sets.nuclei import FOLDER
from tfpanoptic.doctor.sources import chosen_split, find_source, find_sources, own_split
from tfpanoptic.errors import InputError


def test_bundled_data_have_both_splits():
    sources = find_sources("nuclei", None)
    assert {name: source.coco for name, source in sources.items()} == {
        "train": files_in(FOLDER / "train"),
        "val": files_in(FOLDER / "val"),
    }
    assert len(sources["val"].load()) == 40 and not sources["val"].configured


@pytest.mark.parametrize("name", [None, "nuclei"])
def test_data_that_the_configuration_names_have_its_categories(name, tiny_experiment):
    assert find_source(name, tiny_experiment, "train").configured


def test_a_folder_of_splits_stands_for_both():
    sources = find_sources(str(FOLDER), None)
    assert sources["train"].coco == files_in(FOLDER / "train") and own_split(sources, str(FOLDER)) is None
    assert chosen_split(sources, str(FOLDER), "train") == "train"


def test_a_folder_of_one_split_knows_the_other_one_beside_it():
    sources = find_sources(str(FOLDER / "train"), None)
    assert sources["val"].coco == files_in(FOLDER / "val")
    assert chosen_split(sources, str(FOLDER / "train"), "val") == "train"


def test_a_folder_of_another_name_is_a_split_if_it_is_asked_for(tmp_path):
    for name in ("val", "test"):
        Data(tmp_path / name).source()
    assert set(find_sources(str(tmp_path), None)) == {"val"}
    assert find_source(str(tmp_path), None, "test").coco == files_in(tmp_path / "test")
    with pytest.raises(InputError, match="--split 'train': expected val"):
        find_source(str(tmp_path), None, "train")


def test_a_json_has_its_folders_from_the_arguments(tmp_path):
    path = str(FOLDER / "val/panoptic.json")
    assert find_sources(path, None, tmp_path, FOLDER / "val/panoptic")["data"].coco.images == tmp_path
    with pytest.raises(InputError, match="needs --images DIR and --panoptic DIR"):
        find_sources(path, None, tmp_path, None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gtFine/", "Cityscapes as downloaded; name it in a configuration"),
        ("a.tfrecord-00000-of-00001", "shards of records"),
        ("instances.json", "it has instances.json: .* tfpanoptic data convert"),
        ("valid/panoptic.json", "valid in it have one: name them train and val"),
    ],
)
def test_data_in_another_layout_are_told_what_to_do(name, words, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if name.endswith("/") else path.touch()
    with pytest.raises(InputError, match=f"no panoptic.json in it; .*{words}"):
        find_sources(str(tmp_path), None)


def test_a_configuration_is_no_data(tmp_path):
    (tmp_path / "my.yaml").touch()
    with pytest.raises(InputError, match="my.yaml: a configuration; give it with --config"):
        find_sources(str(tmp_path / "my.yaml"), None)
