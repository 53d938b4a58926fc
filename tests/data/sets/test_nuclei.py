from pathlib import Path

import numpy as np
import pytest

from tfpanoptic.data import DATASETS
from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.data.sets.nuclei import FOLDER, nuclei
from tfpanoptic.errors import InputError


def test_there_are_120_training_and_40_validation_images():
    assert (len(nuclei("train")), len(nuclei("val"))) == (120, 40)


def test_a_nucleus_is_a_thing_and_background_is_stuff():
    assert [(c.name, c.isthing) for c in nuclei("val").categories] == [("nucleus", True), ("background", False)]


def test_every_validation_file_can_be_read_and_agrees_with_its_annotation():
    for record in nuclei("val").records:
        truth = read_segment_map(record)
        assert read_record_image(record).shape == (*truth.shape, 3)


def test_the_annotated_areas_are_the_pixel_counts():
    record = nuclei("train").records[0]
    truth = read_segment_map(record)
    np.testing.assert_array_equal(truth.segments["area"], [(truth.ids == i).sum() for i in truth.segments["id"]])


def test_the_bundle_stays_below_8_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 8_000_000


def test_the_bundle_says_where_it_is_from():
    notice = Path(FOLDER / "NOTICE").read_text()
    assert "BBBC038v1" in notice and "CC0" in notice


def test_records_say_how_an_image_was_made():
    assert {record.extra["kind"] for record in nuclei("train").records} == {"fluorescence", "stained"}


def test_another_split_is_an_error():
    with pytest.raises(InputError, match="splits train and val, not 'test'"):
        nuclei("test")


def test_the_registry_loads_it():
    kind = DATASETS["nuclei"]
    assert kind.load(kind.config(), "val").split == "val"
