"""`tfpanoptic data convert` on sets that the test makes, and the doctor on what it writes."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def instances(tmp_path):
    """A COCO instances set of two photos, one of which has objects."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    images, polygon = [], [2, 2, 12, 2, 12, 9, 2, 9]
    for number in (1, 2):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "height": 20, "width": 30})
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [polygon], "iscrowd": 0, "area": 70.5},
        {"id": 2, "image_id": 1, "category_id": 3, "segmentation": [[1, 1, 2, 2]], "iscrowd": 0, "area": 0},
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "cat"}]}
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_what_was_written_and_what_was_lost_is_told(run, instances, tmp_path):
    code, out, err = run("data", "convert", "--from", "coco-instances", instances, "--out", tmp_path / "out")
    assert code == 0 and f"2 images, 1 segments: {tmp_path}/out/panoptic.json" in out
    assert "images 2/2" in err
    for line in ("polygon of fewer than three points", "object without a mask", "image without any segment"):
        assert line in out
    report = json.loads((tmp_path / "out/conversion.json").read_text())
    assert report["from"] == "coco-instances" and report["source"] == str(instances) and report["options"] == {}
    assert [change["count"] for change in report["changes"]] == [1, 1, 1]
    code, out, _ = run("doctor", tmp_path / "out")
    assert code == 0 and "error" not in out


def test_options_reach_the_reader(run, instances, tmp_path):
    code, out, _ = run(
        "data", "convert", "--from", "coco-instances", instances / "instances.json", "--images", instances / "images",
        "--rest", "other", "--overlap", "later", "--photos", "symlink", "--workers", 1, "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0 and "2 images, 3 segments" in out and (tmp_path / "out/images/1.jpg").is_symlink()
    options = json.loads((tmp_path / "out/conversion.json").read_text())["options"]
    assert options == {"images": str(instances / "images"), "rest": "other", "overlap": "later"}


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--from", "yolo"], "--from: expected one of coco-instances, .* found 'yolo'"),
        (["--from", "coco-instances", "--overlap", "larger"], "--overlap: expected one of smaller, later"),
        (["--from", "coco-instances", "--photos", "move"], "--photos: expected one of copy, hard-link, symlink"),
        (["--from", "coco-instances", "--components"], "--components: not for --from coco-instances, which takes --im"),
        (["--from", "labelme", "--stuff-maps", "x"], "--stuff-maps: not for --from labelme"),
        (["--from", "coco-instances", "--stuff-offset", "1"], "--stuff-offset: expected --stuff-maps, too"),
        (["--from", "labelme"], "set: no JSON of labelme in it or below"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, words, run, instances, tmp_path):
    code, _, err = run("data", "convert", *arguments, instances, "--out", tmp_path / "out")
    (line,) = err.strip().splitlines()
    assert code == 2 and not (tmp_path / "out").exists()
    assert re.search(words, line)


def test_no_such_source_is_one_line(run, tmp_path):
    code, _, err = run("data", "convert", "--from", "cityscapes", tmp_path / "none", "--out", tmp_path / "out")
    assert code == 2 and "none: no such file or folder; expected the folder with leftImg8bit/ and gtFine/" in err


def test_tensorflow_is_not_needed(instances, tmp_path):
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; from tfpanoptic.cli import main; main()"
    )
    arguments = ["data", "convert", "--from", "coco-instances", instances, "--out", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
