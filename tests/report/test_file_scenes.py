import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.pairs.coco import FilePair, FileSet
from tfpanoptic.report.file_scenes import find_photos, scenes_of_files
from tfpanoptic.segment_map import SegmentMap, segment_rows

TRUTH = SegmentMap(np.ones((2, 3), np.int32), segment_rows([1], [1], areas=[6]))


class Side:
    """One side of a pair, already read."""

    def read(self):
        return TRUTH


def photo(path, height, width):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 7, np.uint8)).save(path)


def test_photos_are_found_by_name_or_by_their_cityscapes_key(tmp_path, capsys):
    photo(tmp_path / "a.png", 2, 3)
    photo(tmp_path / "val" / "ulm" / "ulm_000001_000019_leftImg8bit.png", 2, 3)
    names = ["a.png", "ulm_000001_000019", "ulm_000002_000019"]
    pairs = tuple(FilePair(name, name, 2, 3, Side(), Side()) for name in names)
    photos = find_photos(tmp_path, pairs)
    assert {name: path.name for name, path in photos.items()} == {
        "a.png": "a.png",
        "ulm_000001_000019": "ulm_000001_000019_leftImg8bit.png",
    }
    scenes_of_files(FileSet(None, pairs, ""), tmp_path)
    assert "no photo of 1 of 3 images, first ulm_000002_000019" in capsys.readouterr().err


def test_a_photo_is_shown_only_where_it_fits(tmp_path, capsys):
    photo(tmp_path / "right.png", 2, 3)
    photo(tmp_path / "turned.png", 3, 2)
    (tmp_path / "damaged.png").write_bytes(b"no photo")
    names = ("right.png", "turned.png", "damaged.png")
    pairs = tuple(FilePair(name, name, 2, 3, Side(), Side()) for name in names)
    scene = scenes_of_files(FileSet(None, pairs, ""), tmp_path)
    photos = {name: scene(name)[0] for name in names}
    assert photos["right.png"].shape == (2, 3, 3) and photos["turned.png"] is photos["damaged.png"] is None
    messages = capsys.readouterr().err
    assert "turned.png: of another size than the truth" in messages and "damaged.png: not an image" in messages


def test_without_a_folder_there_is_no_photo():
    pairs = (FilePair("a.png", "a.png", 2, 3, Side(), Side()),)
    found, truth, prediction = scenes_of_files(FileSet(None, pairs, ""), None)("a.png")
    assert found is None and truth is prediction is TRUTH


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder; expected the photos"):
        find_photos(tmp_path / "nowhere", [FilePair("a.png", "a.png", 2, 3, Side(), Side())])
