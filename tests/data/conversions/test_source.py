import pytest

from tfpanoptic.data.conversions.source import ConversionOptions, find_photo, safe_name
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.errors import InputError


@pytest.mark.parametrize(
    "given, name",
    [
        ("a.jpg", "a.jpg"),
        ("train2017/a.jpg", "train2017/a.jpg"),
        ("sub\\a.jpg", "sub/a.jpg"),
        ("../../a.jpg", "a.jpg"),
        ("/data/photos/a.jpg", "a.jpg"),
        ("C:\\photos\\a.jpg", "a.jpg"),
    ],
)
def test_names_stay_below_the_folder(given, name):
    assert safe_name(given) == name


@pytest.mark.parametrize("name", [".", "/", "a/.."])
def test_a_name_without_a_file_is_named(name):
    with pytest.raises(InputError, match="names no file"):
        safe_name(name)


def test_a_photo_is_found_under_its_last_part_alone(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.jpg").touch()
    listing = FolderListing()
    assert find_photo("sub\\a.jpg", tmp_path, listing) == tmp_path / "sub/a.jpg"
    assert find_photo("/elsewhere/images/a.jpg", tmp_path, listing) == tmp_path / "a.jpg"
    assert find_photo("sub/b.jpg", tmp_path, listing) == tmp_path / "sub/b.jpg"


def test_an_option_of_0_was_given():
    assert ConversionOptions(crowd=0, stuff=("sea",)).given() == {"crowd": 0, "stuff": ("sea",)}
