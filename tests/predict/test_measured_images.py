"""Every place where a person may have the images."""

from types import SimpleNamespace

import pytest
import yaml
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.sets.nuclei import FOLDER, nuclei
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.predict.measured_images import measured_images
from tfpanoptic.predict.verification import CALIBRATION_PHOTOS, calibration_photos


@pytest.fixture
def segmenter(tiny_experiment):
    return SimpleNamespace(categories=nuclei("val").categories, experiment=tiny_experiment)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / f"{number}.png")
    return folder


def test_images_with_truth_are_found_wherever_they_are(segmenter, tiny_settings, tmp_path):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(tiny_settings))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump(tiny_settings))
    expected = [record.file_name for record in nuclei("val").records]
    for data in ("val", "nuclei", FOLDER, FOLDER / "val", tmp_path / "own.yaml", tmp_path / "run"):
        found = measured_images(str(data), segmenter)
        assert isinstance(found, Dataset) and [record.file_name for record in found.records] == expected, data
    assert len(measured_images("train", segmenter)) == len(nuclei("train"))


def without_val(settings, **data):
    """Settings of the training photos of nuclei as a set of its own, a fifth of which is for validation."""
    split = {"images": "images", "annotations": "panoptic.json", "panoptic": "panoptic"}
    split = {key: str(FOLDER / "train" / name) for key, name in split.items()}
    return {**settings, "data": {"name": "coco_panoptic", "train": split, "val_share": 0.2, **data}}


def test_of_a_configuration_without_a_validation_part_its_share_is_taken(segmenter, tiny_settings, tmp_path):
    settings = without_val(tiny_settings)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(settings))
    expected = [record.file_name for record in Experiment.from_dict(settings).load_data("val").records]
    assert 0 < len(expected) < 60
    found = measured_images(str(tmp_path / "own.yaml"), segmenter)
    assert [record.file_name for record in found.records] == expected


def test_the_parts_of_the_runs_own_data_have_names(segmenter, tiny_settings):
    segmenter.experiment = Experiment.from_dict(without_val(tiny_settings))
    parts = [measured_images(name, segmenter).records for name in ("train", "select", "val")]
    names = [record.file_name for part in parts for record in part]
    assert all(parts) and sorted(names) == sorted(record.file_name for record in nuclei("train").records)


def test_truth_elsewhere_is_remapped_as_the_models_own_data(segmenter, tiny_settings, capsys):
    remap = {"categories": {"cell": ["nucleus"]}, "void": "rest", "drop": ["background"]}
    segmenter.experiment = Experiment.from_dict({**tiny_settings, "data": {"name": "nuclei", "remap": remap}})
    segmenter.categories = segmenter.experiment.load_categories()
    found = measured_images(str(FOLDER / "val"), segmenter)
    assert found.categories == segmenter.categories and not found.unmatched()
    assert "panoptic.json: remapped by data.remap" in capsys.readouterr().err


def test_a_folder_called_val_is_not_taken_for_the_runs_own(segmenter, photos, monkeypatch):
    photos.rename(photos.with_name("val"))
    monkeypatch.chdir(photos.parent)
    assert isinstance(measured_images("val", segmenter), Dataset)
    assert len(measured_images("./val", segmenter)) == 3


def test_photos_have_no_truth(segmenter, photos):
    assert [path.name for path in measured_images(str(photos), segmenter)] == ["0.png", "1.png", "2.png"]
    assert [path.name for path in measured_images(str(photos / "1.png"), segmenter)] == ["1.png"]


def test_categories_are_matched_by_name_and_others_are_told(segmenter, capsys):
    segmenter.categories = CategoryTable.from_coco([{"id": 9, "name": "nucleus", "isthing": 1}])
    found = measured_images("nuclei", segmenter)
    assert [category.name for category in found.categories] == ["nucleus", "background"]
    assert "in the truth but not in the model, counted as missed: background" in capsys.readouterr().err


def test_what_is_nowhere_is_told(segmenter, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file or folder; expected val, train or select of the run"):
        measured_images(str(tmp_path / "nowhere"), segmenter)
    with pytest.raises(InputError, match="no image in this folder"):
        measured_images(str(tmp_path), segmenter)


def test_photos_for_calibration_are_spread_over_a_folder(segmenter, tmp_path):
    for number in range(3 * CALIBRATION_PHOTOS):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"{number:03}.png")
    found = [int(pixels[0, 0, 0]) for pixels in calibration_photos(segmenter, tmp_path)]
    assert found == list(range(0, 3 * CALIBRATION_PHOTOS, 3)) and found[-1] > 2 * CALIBRATION_PHOTOS
