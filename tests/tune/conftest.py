import json
import shutil

import pytest
import yaml

from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.segmenter import PanopticSegmenter

# More pixels than any of the photos has.
ALL_TOO_SMALL = 1_000_000


@pytest.fixture(scope="session")
def background_run(tiny_run, tmp_path_factory):
    """A run whose network finds background everywhere, which its configuration drops as too small."""
    folder = shutil.copytree(tiny_run, tmp_path_factory.mktemp("background") / "run")
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    settings["model"]["postprocess"]["stuff_area"] = ALL_TOO_SMALL
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    model = PanopticSegmenter.from_preset(folder)
    for weight in model.weights:
        if weight.path.startswith("semantic_head/predict/"):
            isbias = weight.path.endswith("bias")
            weight.assign([-5.0 if c.isthing else 5.0 for c in model.categories] if isbias else 0 * weight.numpy())
    model.save_weights_file(folder / "best.safetensors")
    return folder


@pytest.fixture
def untuned(background_run, tmp_path):
    """A copy of it for one test."""
    return shutil.copytree(background_run, tmp_path / "run")


@pytest.fixture
def photos(tmp_path):
    """Options that name six photos with truth."""
    folder = nuclei("val").records[0].image_path.parents[1]
    gt = json.loads((folder / "panoptic.json").read_text())
    gt["images"], gt["annotations"] = gt["images"][:6], gt["annotations"][:6]
    (tmp_path / "gt.json").write_text(json.dumps(gt))
    return {"images": folder / "images", "gt": tmp_path / "gt.json", "gt_dir": folder / "panoptic"}
