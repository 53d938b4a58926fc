"""Every place where a person may have the images."""

from types import SimpleNamespace

import pytest
import yaml
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.sets.nuclei import FOLDER, nuclei
from tfpanoptic.errors import InputError
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
    with pytest.raises(InputError, match="nowhere: no such file or folder; expected val or train of the run, nuclei"):
        measured_images(str(tmp_path / "nowhere"), segmenter)
    with pytest.raises(InputError, match="no image in this folder"):
        measured_images(str(tmp_path), segmenter)


def test_photos_for_calibration_are_spread_over_a_folder(segmenter, tmp_path):
    for number in range(3 * CALIBRATION_PHOTOS):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"{number:03}.png")
    found = [int(pixels[0, 0, 0]) for pixels in calibration_photos(segmenter, tmp_path)]
    assert found == list(range(0, 3 * CALIBRATION_PHOTOS, 3)) and found[-1] > 2 * CALIBRATION_PHOTOS
