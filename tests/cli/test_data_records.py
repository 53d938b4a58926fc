import sys

import pytest
import yaml

from tfpanoptic.data.coco_panoptic import write_coco_panoptic
from tfpanoptic.data.sets.shapes import CATEGORIES, draw_scene


@pytest.fixture
def data(tmp_path):
    """train/ and val/ with two photos each."""
    for number, split in enumerate(("train", "val")):
        (tmp_path / "data" / split).mkdir(parents=True)
        scenes = [(str(seed), *draw_scene(20, 24, (number, seed))) for seed in range(2)]
        write_coco_panoptic(tmp_path / "data" / split, CATEGORIES, scenes)
    return tmp_path / "data"


def test_both_parts_are_written_and_verified(run, data, tmp_path):
    out = tmp_path / "records"
    code, printed, err = run("data", "records", data, "--out", out, "--shards", "2", "--workers", "2")
    assert code == 0 and f"{out / 'train'}: 2 images in 2 shards, " in printed and f"{out / 'val'}: 2 images" in printed
    assert "records 2/2, 0:00 left" in err
    assert run("data", "records", "--verify", out)[:2] == (
        0,
        "".join(f"{out / part}: 2 images in 2 shards are whole\n" for part in ("train", "val")),
    )


def test_the_data_of_a_configuration_are_written(run, data, tiny_settings, tmp_path):
    """Of any kind: here the records themselves."""
    run("data", "records", data, "--out", tmp_path / "first", "--shards", "1")
    tiny_settings["data"] = {"name": "records", "train": "first/train", "val": "first/val"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_settings))
    arguments = ("data", "records", "--config", tmp_path / "config.yaml", "--split", "val")
    code, printed, _ = run(*arguments, "--out", tmp_path / "second", "--shards", "1")
    assert code == 0 and "2 images in 1 shard, " in printed
    name = "shard-00000-of-00001.tfrecord"
    assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "first/val" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--out", "out"], "nowhere: no such folder; expected a folder with images/, panoptic/"),
        (["DATA"], "--out: expected the folder to write"),
        (["DATA", "--out", "out", "--split", "val"], "--split goes with --config"),
        (["--out", "out"], "expected a folder in COCO panoptic format, or --config with --split"),
        (["DATA", "--out", "out", "--shards", "3"], "--shards must be 1 to the number of images, 2, found 3"),
        (["DATA", "--out", "out", "--beam", "--streaming"], "--beam: expected --runner"),
        (["--verify", "DATA"], "no manifest.json in it, expected records that `tfpanoptic data records` has written"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(run, data, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("data", "records", *(str(data) if word == "DATA" else word for word in arguments))
    assert code == 2 and words in err and len(err.splitlines()) == 1


def test_a_runner_without_beam_says_what_to_install(run, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delitem(sys.modules, "tfpanoptic.data.records.beam", raising=False)
    code, _, err = run("data", "records", data, "--out", tmp_path / "out", "--runner", "DirectRunner")
    assert (code, err) == (2, "error: --runner needs Apache Beam: pip install 'tfpanoptic[beam]'\n")


def test_a_truncated_photo_is_named_with_exit_code_2(run, data, tmp_path):
    photo = data / "val" / "images" / "1.png"
    photo.write_bytes(photo.read_bytes()[:-40])
    code, _, err = run("data", "records", data / "val", "--out", tmp_path / "out")
    assert code == 2 and err.splitlines()[-1].startswith(f"error: {photo}: damaged or cut short")
