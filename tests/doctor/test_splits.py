"""What is wrong between train and val, on two small datasets."""

import shutil

import pytest

from tests.doctor.small_data import COW, Data
from tfpanoptic.doctor.check import check


class Splits:
    """Train and val of other photos."""

    def __init__(self, folder):
        self.train, self.val = Data(folder / "train"), Data(folder / "val")
        for number, path in enumerate(sorted(self.val.images.iterdir())):
            self.val.photo(path.name, 50 + number)

    def check(self, checked=None):
        return check({"train": self.train.source(), "val": self.val.source()}, checked, workers=1)


@pytest.fixture
def splits(tmp_path):
    return Splits(tmp_path)


def copied_photo(s):
    shutil.copy(s.train.images / "b.png", s.val.images / "c.png")


def mixed_up(s):
    s.val.json, s.val.images, s.val.panoptic = s.train.json, s.train.images, s.train.panoptic


def copied_split(s):
    for path in s.train.images.iterdir():
        shutil.copy(path, s.val.images / path.name)


def shared_photo(s):
    s.val.images = s.train.images
    for number, name in enumerate(("d.png", "e.png", "a.png")):
        s.val.content["images"][number]["file_name"] = name
    s.val.photo("d.png", 70)
    s.val.photo("e.png", 71)


def other_kind(s):
    s.val.content["categories"][0]["isthing"] = 1


def other_id(s):
    s.val.content["categories"][2]["id"] = 8
    for number in range(3):
        s.val.segments(number)[2]["category_id"] = 8


def renamed(s):
    s.val.content["categories"][2]["name"] = "cattle"


def without_cows(data):
    for number in range(3):
        del data.segments(number)[2]
        data.segments(number)[1].update(area=40, bbox=[0, 4, 10, 4])
        ids = [[2] * 10] * 4 + [[1] * 10] * 4
        import numpy as np

        scene = np.array(ids)
        scene[0, :2] = 0
        data.draw("abc"[number] + ".png", scene)


def fewer_in_train(s):
    for key in ("images", "annotations"):
        del s.train.content[key][1:]
    for name in ("b.png", "c.png"):
        (s.train.images / name).unlink()


def one_shared_id(s):
    for number in (1, 2):
        s.val.content["images"][number]["id"] = s.val.content["annotations"][number]["image_id"] = 90 + number


# Code of a finding -> what makes it, what follows from it, and its first example.
BETWEEN_SPLITS = {
    "split-copy": (copied_photo, set(), "c.png equals "),
    "split-same": (mixed_up, set(), "all 3: a.png"),
    "split-shared": (shared_photo, set(), "a.png"),
    "split-kinds": (other_kind, set(), "grass: stuff in train, a thing in val"),
    "category-ids": (other_id, set(), "cow: 7 in train, 8 in val"),
    "category-unlisted": (renamed, {"category-unmeasured"}, f"cattle, whose id {COW} is cow in train"),
    "category-untaught": (lambda s: without_cows(s.train), {"no-things"}, "cow"),
    "category-unmeasured": (lambda s: without_cows(s.val), {"no-things"}, "cow"),
    "split-sizes": (fewer_in_train, set(), "val 3, train 1"),
    "image-ids": (one_shared_id, set(), "10: a.png in train, a.png in val"),
}


def test_sound_splits_have_no_finding(splits):
    assert splits.check()["findings"] == []


@pytest.mark.parametrize("code", BETWEEN_SPLITS)
def test_every_difference_is_found_as_what_it_is(code, splits):
    change, also, example = BETWEEN_SPLITS[code]
    change(splits)
    found = {finding["code"]: finding for finding in splits.check()["findings"]}
    assert found[code]["count"] == 1 and found[code]["examples"][0].startswith(example)
    assert found[code]["split"] == "train, val"
    assert set(found) - {code} <= also


def test_a_val_of_copies_alone_is_that_of_train(splits):
    copied_split(splits)
    found = splits.check()["findings"]
    assert [(finding["code"], finding["count"]) for finding in found] == [("split-same", 1), ("split-copy", 3)]


def test_a_category_that_no_split_shows_is_told_once_a_split(splits):
    for data in (splits.train, splits.val):
        data.content["categories"].append({"id": 9, "name": "pig", "isthing": 1})
    found = splits.check()["findings"]
    assert [(finding["code"], finding["split"]) for finding in found] == [
        ("category-unseen", "train"),
        ("category-unseen", "val"),
    ]


def test_a_split_that_is_not_checked_is_compared(splits):
    copied_photo(splits)
    splits.train.segments()[0]["area"] = 37  # in the files of the split that is not checked
    report = splits.check(["val"])
    assert [finding["code"] for finding in report["findings"]] == ["split-copy"]
    assert list(report["splits"]) == ["val"]


def test_photos_of_the_other_split_in_the_same_folder_are_no_foreign_files(splits):
    splits.val.images = splits.train.images
    for number, name in enumerate(("d.png", "e.png", "f.png")):
        splits.val.content["images"][number]["file_name"] = name
        splits.val.photo(name, 70 + number)
    assert splits.check()["findings"] == []


def test_a_split_that_cannot_be_used_does_not_hide_the_other(splits):
    splits.train.content = None
    splits.val.segments()[0]["area"] = 37
    report = splits.check()
    assert [(f["split"], f["code"]) for f in report["findings"]] == [
        ("train", "json-unreadable"),
        ("val", "area-differs"),
    ]
    assert report["splits"]["train"] is None and report["splits"]["val"]["images"] == 3
