"""A small dataset in COCO panoptic format, written by hand, for tests that break it."""

import json

import numpy as np
from PIL import Image

from tfpanoptic.data.coco_panoptic import CocoFiles, read_coco_panoptic
from tfpanoptic.doctor.check import check
from tfpanoptic.doctor.sources import Source

GRASS, SKY, COW = 1, 2, 7
CATEGORIES = [
    {"id": GRASS, "name": "grass", "isthing": 0},
    {"id": SKY, "name": "sky", "isthing": 0},
    {"id": COW, "name": "cow", "isthing": 1},
]
# 8 x 10 pixels: sky above, grass below, a cow of 4 x 5 on the grass; two pixels of void.
SCENE = np.repeat([[2] * 10, [1] * 10], 4, axis=0)
SCENE[4:8, 3:8] = 70_000
SCENE[0, :2] = 0
SEGMENTS = [
    {"id": 2, "category_id": SKY, "area": 38, "bbox": [0, 0, 10, 4], "iscrowd": 0},
    {"id": 1, "category_id": GRASS, "area": 20, "bbox": [0, 4, 10, 4], "iscrowd": 0},
    {"id": 70_000, "category_id": COW, "area": 20, "bbox": [3, 4, 5, 4], "iscrowd": 0},
]


class Data:
    """Three images a.png, b.png, c.png; a test may change `content` and the files."""

    def __init__(self, folder):
        self.folder, self.images, self.panoptic = folder, folder / "images", folder / "panoptic"
        self.json = folder / "panoptic.json"
        self.images.mkdir(parents=True)
        self.panoptic.mkdir()
        self.content = {"images": [], "annotations": [], "categories": [dict(c) for c in CATEGORIES]}
        for number, name in enumerate(("a.png", "b.png", "c.png"), start=10):
            self.content["images"].append({"id": number, "file_name": name, "height": 8, "width": 10})
            segments = [dict(segment) for segment in SEGMENTS]
            self.content["annotations"].append({"image_id": number, "file_name": name, "segments_info": segments})
            self.draw(name, SCENE)
            self.photo(name, number)

    def photo(self, name, seed=0, size=(8, 10)):
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.images / name)

    def draw(self, name, ids):
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        Image.fromarray(rgb).save(self.panoptic / name)

    def segments(self, number=0):
        return self.content["annotations"][number]["segments_info"]

    def source(self):
        if isinstance(self.content, dict):
            self.json.write_text(json.dumps(self.content))
        files = CocoFiles(self.images, self.json, self.panoptic)
        return Source(str(self.json), lambda: read_coco_panoptic(*files), files)

    def check(self, **arguments):
        return check({"data": self.source()}, **{"workers": 1, **arguments})

    def codes(self, **arguments):
        return codes(self.check(**arguments))


def codes(report):
    return {finding["code"]: finding["count"] for finding in report["findings"]}
