"""A small dataset in COCO panoptic format, written by hand rather than by our writer."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.coco_panoptic import read_coco_panoptic

# Segments of the first image: (id, category_id, iscrowd, area). 70000 = 112 + 256 * 17 + 65536 * 1.
SEGMENTS = [(70000, 7, 0, 6), (5, 3, 0, 10), (6, 7, 1, 4)]
CATEGORIES = [{"id": 7, "name": "cell", "isthing": 1}, {"id": 3, "name": "ground", "isthing": 0}]


class CocoFolder:
    """Files of a dataset whose JSON a test may change before it is read."""

    def __init__(self, folder: Path):
        self.images, self.panoptic, self.json = folder / "images", folder / "panoptic", folder / "panoptic.json"
        self.images.mkdir()
        self.panoptic.mkdir()
        self.content = {"images": [], "annotations": [], "categories": [dict(category) for category in CATEGORIES]}

    def add(self, ids: np.ndarray, segments=SEGMENTS, seed: int = 0):
        """One more image; `ids` int [H, W]."""
        number, (height, width) = len(self.content["images"]), ids.shape
        name = f"{number}.png"
        pixels = np.random.default_rng([seed, number]).integers(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(self.images / name)
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        Image.fromarray(rgb).save(self.panoptic / name)
        self.content["images"].append({"id": 100 + number, "file_name": name, "height": height, "width": width})
        keys = ("id", "category_id", "iscrowd", "area")
        self.content["annotations"].append(
            {
                "image_id": 100 + number,
                "file_name": name,
                "segments_info": [dict(zip(keys, row, strict=True)) for row in segments],
            }
        )

    def write(self) -> None:
        self.json.write_text(json.dumps(self.content))

    def read(self, **arguments):
        self.write()
        return read_coco_panoptic(self.images, self.json, self.panoptic, **arguments)


@pytest.fixture
def coco(tmp_path):
    """One image, 4 x 6: a cell, ground, a crowd of cells and four pixels of void."""
    folder = CocoFolder(tmp_path)
    folder.add(np.array([[70000] * 6, [5] * 6, [5] * 4 + [6] * 2, [0] * 4 + [6] * 2]))
    return folder


@pytest.fixture
def several(tmp_path):
    """Seven images of different sizes."""
    folder = CocoFolder(tmp_path)
    for number in range(7):
        ids = np.random.default_rng(number).choice([0, 5, 6, 70000], (20 + number, 24 - number))
        folder.add(ids)
    return folder
