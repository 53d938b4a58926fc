"""A set in the layout of the download; ids by the rules of createPanopticImgs."""

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError

# A car 26001, a group of cars 26, road 7, a caravan (never evaluated) and the ego vehicle.
IDS = np.array([[7, 7, 7, 26001], [7, 26, 26, 26001], [29000, 1, 26002, 26002]])


@pytest.fixture
def root(tmp_path, photo):
    for split, city in (("train", "aachen"), ("val", "ulm")):
        key = f"{city}_000000_000019"
        photo(tmp_path / f"city/leftImg8bit/{split}/{city}/{key}_leftImg8bit.png", 3, 4)
        folder = tmp_path / f"city/gtFine/{split}/{city}"
        folder.mkdir(parents=True)
        Image.fromarray(IDS.astype(np.uint16)).save(folder / f"{key}_gtFine_instanceIds.png")
        Image.fromarray(IDS.astype(np.uint8)).save(folder / f"{key}_gtFine_labelIds.png")
    return tmp_path / "city"


def test_segments_are_those_of_the_official_tool(root, convert):
    found = convert("cityscapes", root, split="train")
    name = "aachen_000000_000019_leftImg8bit.png"
    assert found.images[name] == {
        "id": "aachen_000000_000019", "file_name": name, "height": 3, "width": 4, "city": "aachen",
    }  # fmt: skip
    assert np.array_equal(found.ids(name), np.where(np.isin(IDS, (29000, 1)), 0, IDS))
    assert found.names(name) == {7: "road", 26: "car*", 26001: "car", 26002: "car"}
    assert found.segments(name) == [("car", 2), ("car", 2), ("car*", 2), ("road", 4)]
    assert len(found.json["categories"]) == 19
    road, car = (next(c for c in found.json["categories"] if c["name"] == n) for n in ("road", "car"))
    assert (road["id"], road["isthing"], road["color"]) == (7, 0, [128, 64, 128])
    assert (car["id"], car["isthing"], car["color"]) == (26, 1, [0, 0, 142])


def test_a_photo_without_truth_is_named(root, convert, photo):
    photo(root / "leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png", 3, 4)
    found = convert("cityscapes", root, split="val")
    assert len(found.images) == 1 and found.changes == {"no-truth": 1}


def test_files_of_other_systems_beside_the_truth_are_no_truth(root, convert):
    (root / "gtFine/val/ulm/._ulm_000000_000019_gtFine_instanceIds.png").write_bytes(b"macOS")
    assert len(convert("cityscapes", root, split="val").images) == 1


def test_what_is_wrong_is_named(root, convert):
    with pytest.raises(InputError, match="has the splits train, val; expected one, found no --split"):
        convert("cityscapes", root)
    with pytest.raises(InputError, match="gtFine: no such folder; expected the folder of Cityscapes"):
        convert("cityscapes", root / "gtFine", split="val")
    path = root / "gtFine/val/ulm/ulm_000000_000019_gtFine_instanceIds.png"
    Image.fromarray(np.full((3, 4), 77, np.uint8)).save(path)
    with pytest.raises(InputError, match="ulm_000000_000019_gtFine_instanceIds.png: value 77 is no Cityscapes label"):
        convert("cityscapes", root, split="val")
    photo = root / "leftImg8bit/val/ulm/ulm_000000_000019_leftImg8bit.png"
    photo.rename(photo.with_name("ulm_000001_000019_leftImg8bit.png"))
    with pytest.raises(InputError, match="ulm_000000_000019_leftImg8bit.png: no such file; .* --skip-missing"):
        convert("cityscapes", root, split="val")
    photo.with_name("ulm_000001_000019_leftImg8bit.png").unlink()
    with pytest.raises(InputError, match=r"leftImg8bit/val: no CITY/\*_leftImg8bit.png in it or below; found ulm"):
        convert("cityscapes", root, split="val")
