import pytest

from tests.doctor.small_data import Data
from tfpanoptic.data.coco_panoptic import files_in
from tfpanoptic.data.sets.nuclei import FOLDER
from tfpanoptic.doctor.sources import chosen_split, find_source, find_sources, own_split
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment


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


def test_data_without_a_validation_part_are_checked_by_their_records(tiny_settings):
    train = {"images": "images", "annotations": "panoptic.json", "panoptic": "panoptic"}
    train = {key: str(FOLDER / "train" / name) for key, name in train.items()}
    tiny_settings["data"] = {"name": "coco_panoptic", "train": train, "val_share": 0.2}
    sources = find_sources(None, Experiment.from_dict(tiny_settings))
    sizes = {split: len(source.load()) for split, source in sources.items()}
    assert 0 < sizes["val"] < 60 and sizes["train"] + sizes["val"] < 120  # some choose the best weights


def test_of_data_without_a_validation_part_and_a_share_the_training_is_checked(tiny_settings):
    train = {"images": "images", "annotations": "panoptic.json", "panoptic": "panoptic"}
    train = {key: str(FOLDER / "train" / name) for key, name in train.items()}
    tiny_settings["data"] = {"name": "coco_panoptic", "train": train}
    assert list(find_sources(None, Experiment.from_dict(tiny_settings))) == ["train"]


def test_a_remap_is_that_of_the_ceiling(tiny_settings):
    tiny_settings["data"] = {"name": "nuclei", "remap": {"drop": ["background"]}}
    source = find_source(None, Experiment.from_dict(tiny_settings), "val")
    assert [category.name for category in source.load().categories] == ["nucleus"]


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
