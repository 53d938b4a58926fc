"""A panoptic set whose areas and boxes another tool counted."""

import json

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError

IDS = np.array([[70000, 70000, 0], [5, 5, 5]])


@pytest.fixture
def folder(tmp_path, photo):
    photo(tmp_path / "set/images/a.jpg", 2, 3)
    (tmp_path / "set/panoptic").mkdir()
    rgb = np.stack([IDS % 256, IDS // 256 % 256, IDS // 65536], axis=-1).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "set/panoptic/a.png")
    segments = [
        {"id": 70000, "category_id": 9, "area": 1.75, "bbox": [9, 9, 9, 9], "iscrowd": 1},
        {"id": 5, "category_id": 4, "area": 300, "iscrowd": 0},  # larger than the image
    ]
    content = {
        "images": [{"id": 3, "file_name": "a.jpg", "height": 2, "width": 3, "license": 2}],
        "annotations": [
            {"image_id": 3, "file_name": "a.png", "segments_info": segments},
            {"image_id": 4, "file_name": "b.png", "segments_info": []},
        ],
        "categories": [{"id": 9, "name": "cell", "isthing": 1}, {"id": 4, "name": "ground", "isthing": 0}],
        "licenses": [{"id": 2}],
    }
    (tmp_path / "set/panoptic.json").write_text(json.dumps(content))
    return tmp_path / "set"


def test_areas_and_boxes_become_those_of_the_pixels(folder, convert):
    found = convert("coco-panoptic", folder)
    assert found.segments("a.jpg") == [("cell*", 2), ("ground", 3)]
    assert np.array_equal(found.ids("a.jpg"), IDS)
    assert found.images["a.jpg"] == {"id": 3, "file_name": "a.jpg", "height": 2, "width": 3, "license": 2}
    assert found.json["licenses"] == [{"id": 2}] and found.changes == {"area": 2, "no-image": 1}


def test_what_is_wrong_is_named(folder, convert):
    path = folder / "panoptic.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segments_info"][0]["id"] = 70001
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="a.png: holds segment 70000, which the annotation of a.jpg does not list"):
        convert("coco-panoptic", folder)
    content["annotations"][0]["segments_info"][0]["id"] = 1 << 24
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"segments_info\[0\]: id must be an integer 1\.\.16777215, found 16777216"):
        convert("coco-panoptic", folder)
    path.write_text(json.dumps({**content, "annotations": [{"segmentation": []}]}))
    with pytest.raises(InputError, match="panoptic.json: an instances JSON"):
        convert("coco-panoptic", folder)
