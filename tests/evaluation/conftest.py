"""The files of `tests/fixtures/evaluation/panoptic`, in a copy that a test may break."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FIXTURE = Path(__file__).parents[1] / "fixtures" / "evaluation" / "panoptic"


class PanopticFiles:
    """Truth and prediction in COCO panoptic format; `gt` and `pred` are the contents of the JSONs, to be changed."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.gt, self.pred = (json.loads((folder / name).read_text()) for name in ("gt.json", "pred.json"))
        self.expected = json.loads((folder / "expected.json").read_text())
        self.gt_dir, self.pred_dir = folder / "gt", folder / "pred"

    def paths(self):
        """The four paths, in the order of `read_coco_files`, their JSONs written as they are now."""
        for name, content in (("gt.json", self.gt), ("pred.json", self.pred)):
            (self.folder / name).write_text(json.dumps(content))
        return self.folder / "gt.json", self.gt_dir, self.folder / "pred.json", self.pred_dir

    def write_pixel_areas(self):
        """Makes the areas of the truth the numbers of its pixels; those of the fixture are not all so."""
        for annotation in self.gt["annotations"]:
            with Image.open(self.gt_dir / annotation["file_name"]) as image:
                ids = np.asarray(image.convert("RGB")).astype(int) @ [1, 256, 65536]
            for segment in annotation["segments_info"]:
                segment["area"] = int(np.sum(ids == segment["id"]))

    def options(self):
        """The paths as arguments of `tfpanoptic evaluate`."""
        return [part for pair in zip(("--gt", "--gt-dir", "--pred", "--pred-dir"), self.paths()) for part in pair]


@pytest.fixture
def files(tmp_path):
    return PanopticFiles(Path(shutil.copytree(FIXTURE, tmp_path / "files")))
