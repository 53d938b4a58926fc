import json
import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 150, 3), dtype=np.uint8)).save(path)
    return path


def test_a_photo_in_tiles_is_written_as_any_other(run, tiny_run, photo, tmp_path):
    code, out, err = run("predict", tiny_run, photo, "--out", tmp_path / "out", "--tile", 64, "--overlap", 16)
    assert code == 0 and "1 images" in out and "tiles of photo.png 3/3" in err
    (annotation,) = json.loads((tmp_path / "out/panoptic.json").read_text())["annotations"]
    png = np.asarray(Image.open(tmp_path / "out/panoptic/photo.png")).astype(int)
    ids = png[..., 0] + 256 * png[..., 1] + 65536 * png[..., 2]
    assert ids.shape == (60, 150)
    assert {s["id"]: s["area"] for s in annotation["segments_info"]} == {
        int(i): int((ids == i).sum()) for i in np.unique(ids[ids > 0])
    }


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--tile", 0], "tile: expected at least 16 pixels"),
        (["--tile", 64, "--overlap", 64], "overlap: expected 0 to 48 pixels for tiles of 64, found 64"),
        (["--overlap", 64], "--overlap 64: expected --tile"),
        (["--tile", 100, "input.max_long_side=120"], "photo.png: input.max_long_side=120 .*=150 allows that"),
    ],
)
def test_tiles_that_make_no_sense_are_one_line(run, tiny_run, photo, tmp_path, arguments, words):
    code, _, err = run("predict", tiny_run, photo, "--out", tmp_path / "out", *arguments)
    assert code == 2 and not (tmp_path / "out").exists()
    (line,) = err.strip().splitlines()
    assert re.search(words, line)
