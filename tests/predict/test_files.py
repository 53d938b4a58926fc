import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.photo.load_image import load_image
from tfpanoptic.predict.files import find_images, write_predictions
from tfpanoptic.result import PanopticResult
from tfpanoptic.segment_map import SegmentMap, segment_rows


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_a_folder_stands_for_the_images_in_it(tmp_path):
    folder = touch(tmp_path / "photos", "b.JPG", "a.png", "notes.txt")
    assert find_images([folder]) == [(folder / "a.png", "a.png"), (folder / "b.JPG", "b.JPG")]


def test_hidden_files_and_folders_named_like_images_are_left_out(tmp_path):
    folder = touch(tmp_path / "photos", "a.png", "._a.png")
    touch(folder / "b.png", "c.txt")
    touch(folder / ".cache", "d.png")
    assert find_images([folder], recursive=True) == [(folder / "a.png", "a.png")]


def test_images_in_sub_folders_alone_are_counted_with_the_option_that_takes_them(tmp_path):
    folder = touch(tmp_path / "photos", "notes.txt")
    touch(folder / "1", "a.png", "b.png")
    touch(folder / "2", "a.png")
    with pytest.raises(InputError, match=r"photos: none .*, 3 in its sub-folders, first 1/a\.png; --recursive"):
        find_images([folder])


def test_images_of_sub_folders_are_named_by_their_paths(tmp_path):
    folder = touch(tmp_path / "photos", "a.png")
    touch(folder / "1", "a.png")
    touch(folder / "2", "a.png")
    assert [name for _, name in find_images([folder], recursive=True)] == ["1/a.png", "2/a.png", "a.png"]


def test_links_to_sub_folders_are_followed(tmp_path):
    folder, elsewhere = touch(tmp_path / "photos", "a.png"), touch(tmp_path / "elsewhere", "b.png")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "around").symlink_to(folder)
    assert [name for _, name in find_images([folder], recursive=True)] == ["a.png", "linked/b.png"]
    (folder / "a.png").unlink()
    with pytest.raises(InputError, match=r"1 in its sub-folders, first linked/b\.png; --recursive"):
        find_images([folder])


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


@pytest.fixture
def photos(tmp_path):
    """Four small photos, the third of them cut short."""
    folder = touch(tmp_path / "photos")
    for name in "abcd":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "c.png").write_bytes((folder / "c.png").read_bytes()[:1000])
    return folder


class Model:
    """Takes the place of a segmenter: all is one stuff segment, and an image may be too much for it."""

    categories = CategoryTable.from_coco([{"id": 5, "name": "ground", "isthing": 0}])

    def __init__(self, too_large: str | None = None):
        self.too_large = too_large

    def segment(self, path):
        if path.name == self.too_large:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        pixels = load_image(path)
        segments = SegmentMap(np.ones(pixels.shape[:2], np.int32), segment_rows([1], [1], areas=[32 * 32]))
        return PanopticResult(segments, self.categories, pixels, path.name)


def written(folder):
    return [image["file_name"] for image in json.loads((folder / "panoptic.json").read_text())["images"]]


def test_results_before_a_damaged_image_are_kept_and_counted(photos, tmp_path):
    with pytest.raises(InputError, match=r"c\.png: damaged.*; 2 of 4 results are in .*out; --skip-errors"):
        write_predictions(Model(), find_images([photos]), tmp_path / "out")
    assert written(tmp_path / "out") == ["a.png", "b.png"]


def test_damaged_images_are_left_out_when_asked_and_named(photos, tmp_path):
    (line,) = write_predictions(Model(), find_images([photos]), tmp_path / "out", skip_errors=True)
    assert line.startswith(f"{photos / 'c.png'}: damaged")
    assert written(tmp_path / "out") == ["a.png", "b.png", "d.png"]


def test_nothing_but_damaged_images_is_an_error(photos, tmp_path):
    with pytest.raises(InputError, match="c.png: damaged.*none of 1 images can be read"):
        write_predictions(Model(), find_images([photos / "c.png"]), tmp_path / "out", skip_errors=True)
    assert not (tmp_path / "out").exists()


def test_results_before_an_image_without_memory_for_it_are_kept(photos, tmp_path):
    with pytest.raises(WorkFailed, match=r"b\.png: not enough memory.*; 1 of 4 results are in "):
        write_predictions(Model("b.png"), find_images([photos]), tmp_path / "out")
    assert written(tmp_path / "out") == ["a.png"]


def test_results_of_sub_folders_keep_their_paths(photos, tmp_path):
    (photos / "c.png").unlink()
    write_predictions(Model(), find_images([tmp_path], recursive=True), tmp_path / "out")
    assert written(tmp_path / "out") == ["photos/a.png", "photos/b.png", "photos/d.png"]
    assert (tmp_path / "out/panoptic/photos/a.png").is_file()


def test_photos_are_never_replaced_by_their_results(photos):
    with pytest.raises(InputError, match="a.png: lies in .*photos, where the results go"):
        write_predictions(Model(), find_images([photos]), photos, overwrite=True)
