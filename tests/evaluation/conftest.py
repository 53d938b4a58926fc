"""The files of `tests/fixtures/evaluation/panoptic`, in a copy that a test may break."""

import json
import shutil
from pathlib import Path

import pytest

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

    def options(self):
        """The paths as arguments of `tfpanoptic evaluate`."""
        return [part for pair in zip(("--gt", "--gt-dir", "--pred", "--pred-dir"), self.paths()) for part in pair]


@pytest.fixture
def files(tmp_path):
    return PanopticFiles(Path(shutil.copytree(FIXTURE, tmp_path / "files")))
