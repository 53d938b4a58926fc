"""PNGs as the two-channel examples of the COCO panoptic API: things from 0, crowds 255, stuff 0."""

import json

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError

CATEGORIES = [
    {"supercategory": "person", "color": [220, 20, 60], "isthing": 1, "id": 1, "name": "person"},
    {"supercategory": "sky", "color": [70, 130, 180], "isthing": 0, "id": 187, "name": "sky-other-merged"},
]
CATEGORY = np.array([[187, 187, 187, 0], [1, 1, 1, 1]])
INSTANCE = np.array([[0, 0, 0, 0], [0, 0, 1, 255]])


@pytest.fixture
def folder(tmp_path, photo):
    photo(tmp_path / "photos/a.jpg", 2, 4)
    (tmp_path / "categories.json").write_text(json.dumps(CATEGORIES))
    (tmp_path / "maps").mkdir()
    Image.fromarray(np.stack([CATEGORY, INSTANCE, 0 * CATEGORY], -1).astype(np.uint8)).save(tmp_path / "maps/a.png")
    return tmp_path


def test_two_channels_are_segments(folder, convert):
    options = {"images": folder / "photos", "categories": folder / "categories.json"}
    found = convert("panoptic-2ch", folder / "maps", **options)
    assert found.segments("a.jpg") == [("person", 1), ("person", 2), ("person*", 1), ("sky-other-merged", 3)]
    assert np.array_equal(found.ids("a.jpg") == 0, CATEGORY == 0)
    assert found.json["categories"] == CATEGORIES
    found = convert("panoptic-2ch", folder / "maps", {"overwrite": True}, crowd=-1, rest="other", **options)
    assert found.segments("a.jpg")[:3] == [("other", 1), ("person", 1), ("person", 1)]


def test_what_is_wrong_is_named(folder, convert):
    options = {"images": folder / "photos", "categories": folder / "categories.json"}
    with pytest.raises(InputError, match="maps/images: no such folder; expected the folder of the photos, --images"):
        convert("panoptic-2ch", folder / "maps", categories=folder / "categories.json")
    content = (folder / "maps/a.png").read_bytes()
    (folder / "maps/a.png").write_bytes(content[:-30])
    with pytest.raises(InputError, match="maps/a.png: damaged or cut short"):
        convert("panoptic-2ch", folder / "maps", **options)
    Image.fromarray(np.full((2, 4, 3), 5, np.uint8)).save(folder / "maps/a.png")
    with pytest.raises(InputError, match=r"maps/a.png: value 5 is of no category; expected one of \[1, 187\]"):
        convert("panoptic-2ch", folder / "maps", **options)
