import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.doctor.small_data import Data


@pytest.fixture
def sets(tmp_path):
    """Folder with train/ and val/ of three images each."""
    splits = {name: Data(tmp_path / "data" / name) for name in ("train", "val")}
    for number, path in enumerate(sorted(splits["val"].images.iterdir())):
        splits["val"].photo(path.name, 50 + number)
    for data in splits.values():
        data.source()  # writes the JSON
    return splits


@pytest.fixture
def folder(sets, tmp_path):
    return tmp_path / "data"


def test_sound_splits_are_fit_for_training(run, folder):
    code, out, _ = run("data", "check", folder)
    assert code == 0 and "nothing wrong was found" in out
    assert "train: 3 images" in out and "val: 3 images" in out
    assert out.splitlines()[-1] == "fit for training: 6 images (3 train and 3 val), 18 segments"


def test_errors_of_both_splits_are_in_one_report_with_exit_code_2(run, sets, folder, tmp_path):
    (sets["train"].images / "a.png").unlink()
    sets["val"].draw("b.png", np.zeros((8, 10), int))
    code, out, err = run("data", "check", folder, "--json", tmp_path / "check.json")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1 and "image file not found (1)" in lines[0] and "fit for" not in out
    written = json.loads((tmp_path / "check.json").read_text())
    errors = {(f["split"], f["code"], f["count"]) for f in written["findings"] if f["level"] == "error"}
    assert errors == {("train", "image-missing", 1), ("val", "id-absent", 3)}
    assert written["data"]["val"]["annotations"] == str(folder / "val" / "panoptic.json")
    assert written["splits"]["train"]["images"] == 3


def test_one_split_alone_is_compared_with_the_other(run, sets, folder):
    (sets["train"].images / "a.png").unlink()  # an error of train
    shutil.copy(sets["train"].images / "b.png", sets["val"].images / "c.png")
    for arguments in ([folder, "--split", "val"], [folder / "val"]):
        code, out, _ = run("data", "check", *arguments)
        assert code == 0 and "split-copy" in out and "image-missing" not in out
        assert out.splitlines()[-1] == "fit for training: 3 images, 9 segments; see the 1 warning above"


def test_a_part_of_the_files_is_told(run, folder):
    code, out, _ = run("data", "check", folder, "--limit", "1", "--workers", "2")
    assert code == 0 and out.splitlines()[-1].endswith("18 segments, as far as the files of 2 images tell")


def test_the_data_of_a_configuration_are_checked(run, folder, tiny_settings, tmp_path):
    parts = {"images": "images", "annotations": "panoptic.json", "panoptic": "panoptic"}
    places = {s: {key: str(folder / s / part) for key, part in parts.items()} for s in ("train", "val")}
    tiny_settings["data"] = {"name": "coco_panoptic", **places}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(tiny_settings))
    code, out, _ = run("data", "check", "--config", tmp_path / "my.yaml")
    assert code == 0 and "fit for training: 6 images (3 train and 3 val)" in out
    code, out, err = run("data", "check", "--config", tmp_path / "my.yaml", f"data.train.annotations={tmp_path / 'no'}")
    assert code == 2 and "json-unreadable" in out and "the JSON cannot be read (1)" in err
    (tmp_path / "few.json").write_text(json.dumps([{"id": 1, "name": "grass", "isthing": 0}]))
    code, out, err = run("data", "check", "--config", tmp_path / "my.yaml", f"data.categories={tmp_path / 'few.json'}")
    assert code == 2 and "data-unreadable" in out and "lacks the categories" in out


@pytest.mark.parametrize("verb", [("data", "check"), ("doctor",)])
def test_a_setting_that_leads_nowhere_is_named_with_its_file(verb, run, tiny_settings, tmp_path):
    tiny_settings["data"] = {"name": "coco", "root": str(tmp_path / "none")}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(tiny_settings))
    code, _, err = run(*verb, "--config", tmp_path / "my.yaml")
    assert code == 2 and f"{tmp_path / 'my.yaml'}: data.root: {tmp_path / 'none'}: no such file or folder" in err


def test_pictures_show_photo_and_truth_of_what_was_found(run, sets, folder, tmp_path):
    sets["train"].segments()[2]["area"] = 21
    sets["train"].source()
    sets["val"].photo("b.png", 9, (10, 8))
    (sets["val"].images / "c.png").write_bytes(b"")
    arguments = ["data", "check", folder, "--pictures", tmp_path / "pictures"]
    code, out, _ = run(*arguments)
    written = sorted(str(path.relative_to(tmp_path / "pictures")) for path in (tmp_path / "pictures").rglob("*.png"))
    assert code == 2 and f"{tmp_path / 'pictures'}: 3 pictures" in out
    assert written == [
        "area-differs/train_1_a.png",
        "image-size/val_1_b.png",
        "image-unreadable/val_1_c.png",
    ]
    # A photo of 8 x 10 pixels and its truth beside it, both enlarged four times.
    assert Image.open(tmp_path / "pictures" / "area-differs" / "train_1_a.png").width >= 2 * 4 * 10
    assert run(*arguments)[0] == 2 and "exists" in run(*arguments)[2]
    assert run(*arguments, "--overwrite")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to check: expected --config, or nuclei, shapes"),
        (["nowhere"], "nowhere: no such file or folder; expected nuclei, shapes"),
        (["nuclei", "--split", "test"], "--split 'test': expected train or val"),
        (["nuclei", "input.stride=8"], "changes a setting of a configuration; give one with --config"),
        (["DATA", "--pictures", "DATA"], "exists and holds something else"),
        (["DATA", "--json", "READ"], "is read by this check; expected another file to write"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(arguments, words, run, folder):
    places = {"DATA": folder, "READ": folder / "val" / "panoptic.json"}
    code, _, err = run("data", "check", *(places.get(argument, argument) for argument in arguments))
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1 and words in lines[0], err
