import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.predict.files import find_images


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_a_folder_stands_for_the_images_in_it(tmp_path):
    folder = touch(tmp_path / "photos", "b.JPG", "a.png", "notes.txt")
    assert [p.name for p in find_images([folder])] == ["a.png", "b.JPG"]


def test_two_images_of_one_name_are_refused(tmp_path):
    first, second = touch(tmp_path / "1", "a.png"), touch(tmp_path / "2", "a.jpg")
    with pytest.raises(InputError, match=r"2/a\.jpg: has the name of .*1/a\.png"):
        find_images([first, second])


def test_an_image_given_twice_is_named(tmp_path):
    folder = touch(tmp_path / "photos", "a.png")
    with pytest.raises(InputError, match=r"a\.png: given twice"):
        find_images([folder, folder / "a.png"])


def test_nothing_to_segment_is_told():
    with pytest.raises(InputError, match="no image is given"):
        find_images([])


@pytest.mark.parametrize("name, words", [("none", "no such file or folder"), ("empty", "no image in this folder")])
def test_what_holds_no_image_is_named(tmp_path, name, words):
    touch(tmp_path / "empty", "notes.txt")
    with pytest.raises(InputError, match=rf"{name}: {words}"):
        find_images([tmp_path / name])
