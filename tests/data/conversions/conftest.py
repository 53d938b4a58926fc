"""A conversion in one call, and its result read by NumPy and Pillow alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.coco_writer import WriteOptions, write_source
from tfpanoptic.data.conversions import CONVERSIONS, ConversionOptions
from tfpanoptic.doctor.check import check
from tfpanoptic.doctor.sources import find_sources


class Converted:
    """A folder that was written."""

    def __init__(self, folder: Path, report: dict):
        self.folder, self.report = folder, report
        self.json = json.loads((folder / "panoptic.json").read_text())
        self.images = {image["file_name"]: image for image in self.json["images"]}
        self.changes = {change["code"]: change["count"] for change in report["changes"]}

    def annotation(self, name):
        image_id = self.images[name]["id"]
        return next(a for a in self.json["annotations"] if a["image_id"] == image_id)

    def ids(self, name):
        """int64 [H, W]."""
        png = np.asarray(Image.open(self.folder / "panoptic" / self.annotation(name)["file_name"])).astype(int)
        return png[..., 0] + 256 * png[..., 1] + 65536 * png[..., 2]

    def names(self, name):
        """Name of the category of each segment id; a crowd's has a star."""
        names = {category["id"]: category["name"] for category in self.json["categories"]}
        segments = self.annotation(name)["segments_info"]
        return {s["id"]: names[s["category_id"]] + "*" * s["iscrowd"] for s in segments}

    def segments(self, name):
        """(category, pixels) of each segment, sorted; checks that the JSON says the same."""
        ids, names = self.ids(name), self.names(name)
        assert set(np.unique(ids)) - {0} == set(names)
        for segment in self.annotation(name)["segments_info"]:
            y, x = np.nonzero(ids == segment["id"])
            assert segment["area"] == len(y)
            assert segment["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        return sorted((names[i], int((ids == i).sum())) for i in names)


@pytest.fixture
def convert(tmp_path):
    """(kind, source, how to write, options) -> `Converted`, in a folder `out` in which the doctor finds no error."""

    def call(kind, source, writing=None, **options):
        opened = CONVERSIONS[kind].open(Path(source), ConversionOptions(**options))
        out = tmp_path / "out"
        report = write_source(opened, out, WriteOptions(**(writing or {})), {"from": kind})
        checked = check(find_sources(str(out), None))
        assert not [finding for finding in checked["findings"] if finding["level"] == "error"]
        return Converted(out, report)

    return call


@pytest.fixture
def photo():
    """Writes a photo of random pixels: (path, height, width) -> its bytes."""

    def call(path, height=8, width=10, orientation=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)
        exif = Image.Exif()
        if orientation:
            exif[0x0112] = orientation
        Image.fromarray(pixels).save(path, exif=exif)
        return path.read_bytes()

    return call
