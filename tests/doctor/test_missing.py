"""Files that are not there, and what is there in their place."""

import shutil

import pytest

from tests.doctor.small_data import Data


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / "data")


def found(data, code):
    [finding] = [finding for finding in data.check()["findings"] if finding["code"] == code]
    return finding["examples"]


def rename_listed(data, name):
    data.content["images"][0]["file_name"] = name


@pytest.mark.parametrize(
    ("listed", "there"),
    [("A.PNG", "a.png"), ("a.jpg", "a.png"), ("photos/a.png", "a.png"), ("C:\\photos\\a.png", "a.png")],
)
def test_a_file_of_nearly_the_name_is_named(listed, there, data):
    rename_listed(data, listed)
    assert found(data, "image-missing") == [f"{listed}, but {there} is there"]


def test_backslashes_of_folders_that_exist_are_turned(data):
    (data.images / "day1").mkdir()
    shutil.move(data.images / "a.png", data.images / "day1" / "a.png")
    rename_listed(data, "day1/a.png")
    assert data.codes() == {}
    rename_listed(data, "day1\\a.png")
    assert found(data, "image-missing") == ["day1\\a.png, but day1/a.png is there"]


def test_a_file_of_no_such_name_is_told_alone(data):
    rename_listed(data, "zebra.png")
    assert found(data, "image-missing") == ["zebra.png"]


def test_a_broken_link_is_missing_and_says_where_it_leads(data):
    for folder, code in ((data.images, "image-missing"), (data.panoptic, "png-missing")):
        (folder / "b.png").unlink()
        (folder / "b.png").symlink_to("/nowhere/b.png")
        assert found(data, code) == ["b.png, a link to /nowhere/b.png, which is not there"]


def test_a_file_name_that_no_system_takes_is_missing(data):
    rename_listed(data, "x" * 5000 + ".png")
    assert found(data, "image-missing")[0].startswith("xxx")


def test_a_folder_in_place_of_a_file_is_unreadable(data):
    (data.images / "a.png").unlink()
    (data.images / "a.png").mkdir()
    assert data.codes()["image-unreadable"] == 1
    shutil.rmtree(data.panoptic / "a.png", ignore_errors=True)
    (data.panoptic / "a.png").unlink()
    (data.panoptic / "a.png").mkdir()
    assert data.codes()["png-unreadable"] == 1
