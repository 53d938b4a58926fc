import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.data.examples import file_reader
from tfpanoptic.data.label_space import remapped
from tfpanoptic.data.records import shard
from tfpanoptic.data.records.dataset import read_records
from tfpanoptic.data.records.manifest import read_manifest, require_checksums
from tfpanoptic.data.records.write import write_records
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.label_space import RemapConfig

SHARD = "shard-00001-of-00003.tfrecord"


@pytest.fixture
def files(several):
    return several.read()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "records"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_record_has_the_files_as_they_are_and_the_documented_features(files, out):
    write_records(files, out, shards=3)
    path = out / "shard-00000-of-00003.tfrecord"  # positions 0 and 1 of 7 images
    first, second = (tf.train.Example.FromString(r) for r in tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    values = {name: list(f.bytes_list.value or f.int64_list.value) for name, f in first.features.feature.items()}
    areas = list(first.features.feature["segment/area"].float_list.value)
    record = files.records[0]
    assert {**values, "segment/area": areas} == {
        "image/encoded": [record.image_path.read_bytes()],
        "panoptic/encoded": [record.panoptic_path.read_bytes()],
        "image/filename": [b"0.png"],
        "image/id": [b"100"],
        "image/height": [20],
        "image/width": [24],
        "segment/id": [70000, 5, 6],
        "segment/category_id": [7, 3, 7],
        "segment/iscrowd": [0, 0, 1],
        "segment/area": [6, 10, 4],
    }
    assert second.features.feature["image/filename"].bytes_list.value[0] == b"1.png"


def test_manifest_and_annotation_say_what_is_there(files, several, out):
    several.content["images"][3]["city"] = "Ulm"
    write_records(several.read(), out, shards=3)
    names = [f"shard-0000{number}-of-00003.tfrecord" for number in range(3)]
    assert {path.name for path in out.iterdir()} == {*names, "manifest.json", "panoptic.json"}
    manifest, annotation = (json.loads((out / name).read_text()) for name in ("manifest.json", "panoptic.json"))
    assert [(s["name"], s["images"]) for s in manifest["shards"]] == list(zip(names, [2, 2, 3], strict=True))
    for entry in [*manifest["shards"], manifest["annotations"]]:
        content = (out / entry["name"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert manifest["images"] == 7 and [c["id"] for c in manifest["categories"]] == [3, 7]
    assert [image["shard"] for image in annotation["images"]] == [0, 0, 1, 1, 2, 2, 2]
    assert annotation["images"][3]["city"] == "Ulm" and annotation["images"][2]["offset"] == 0
    given = several.content["annotations"][0]["segments_info"][0]
    written = annotation["annotations"][0]["segments_info"][0]
    y, x = np.nonzero(np.asarray(Image.open(several.panoptic / "0.png"))[..., 2])  # of 70000 alone blue is not 0
    box = [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
    assert written == {**given, "bbox": box}


def test_what_is_read_back_is_the_dataset(files, out):
    write_records(files, out, shards=3)
    records = read_records(out)
    assert records.categories == files.categories
    numbers = tf.data.Dataset.range(len(files))
    for pair, other in zip(numbers.map(file_reader(files)), numbers.map(file_reader(records)), strict=True):
        for values, expected in zip(pair, other, strict=True):
            np.testing.assert_array_equal(values, expected)
    for record, expected in zip(records.records, files.records, strict=True):
        assert (record.file_name, record.image_id, record.extra) == (
            expected.file_name,
            expected.image_id,
            expected.extra,
        )
        np.testing.assert_array_equal(record.segments, expected.segments)


def test_bytes_do_not_depend_on_the_workers(files, out, tmp_path):
    write_records(files, out, shards=3)
    write_records(files, tmp_path / "other", shards=3, workers=4)
    assert contents(out) == contents(tmp_path / "other")


def test_finished_shards_are_kept_and_unfinished_ones_written(files, out, tmp_path):
    """The second of three shards fails, its photo is repaired; a shard without its note is not believed either."""
    write_records(files, tmp_path / "whole", shards=3)
    good = files.records[2].image_path.read_bytes()
    files.records[2].image_path.write_bytes(good[:-30])
    with pytest.raises(InputError, match=r"2\.png: damaged or cut short"):
        write_records(files, out, shards=3)
    assert {path.name for path in out.glob("*.tfrecord*")} == {
        "shard-00000-of-00003.tfrecord",
        "shard-00000-of-00003.tfrecord.json",
    }
    with pytest.raises(InputError, match="has not finished: run the command again"):
        read_records(out)
    files.records[2].image_path.write_bytes(good)
    (out / SHARD).write_bytes(b"of a killed process")
    first = (out / "shard-00000-of-00003.tfrecord").stat()
    write_records(files, out, shards=3)
    assert (out / "shard-00000-of-00003.tfrecord").stat().st_mtime_ns == first.st_mtime_ns
    for name in ("panoptic.json", *(f"shard-0000{n}-of-00003.tfrecord" for n in range(3))):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_a_killed_process_is_continued(several, out, tmp_path):
    """The process sleeps before the sixth image, in the third shard, and is killed there."""
    files = several.read()
    write_records(files, tmp_path / "whole", shards=3)
    code = (
        "import sys, time; from pathlib import Path; from tfpanoptic.data.coco_panoptic import read_coco_panoptic;"
        "from tfpanoptic.data.records import shard; from tfpanoptic.data.records.write import write_records;"
        "read = shard.read_parts;"
        "shard.read_parts = lambda r: (time.sleep(99) if r.file_name == '5.png' else None, read(r))[1];"
        "d = Path(sys.argv[1]); data = read_coco_panoptic(d / 'images', d / 'panoptic.json', d / 'panoptic');"
        "write_records(data, Path(sys.argv[2]), 3)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(several.json.parent), str(out)], env=os.environ)
    try:
        limit = time.monotonic() + 120
        while not (out / f"{SHARD}.json").is_file():
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.02)
        with pytest.raises(InputError, match="another process writes here"):
            write_records(files, out, shards=3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = (out / SHARD).stat().st_mtime_ns
    write_records(files, out, shards=3)
    assert (out / SHARD).stat().st_mtime_ns == kept
    assert contents(out) == contents(tmp_path / "whole")


def test_what_is_finished_is_not_written_again(files, out):
    write_records(files, out, shards=3)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    write_records(files, out, shards=3)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


@pytest.mark.parametrize("finished", [True, False])
def test_other_shards_or_data_are_refused(files, several, out, finished):
    write_records(files, out, shards=3)
    if not finished:
        shards = json.loads((out / "manifest.json").read_text())["shards"]
        for entry in shards:
            (out / f"{entry['name']}.json").write_text(json.dumps(entry))
        (out / "manifest.json").unlink()
        (out / "writing.json").write_text(json.dumps({"shards": 3}))
    with pytest.raises(InputError, match="in 3 shards, expected 2; give --overwrite"):
        write_records(files, out, shards=2)
    several.content["annotations"][0]["segments_info"][0]["iscrowd"] = 1
    with pytest.raises(InputError, match="other data, or the data have changed since; give --overwrite"):
        write_records(several.read(), out, shards=3)
    write_records(several.read(), out, shards=2, overwrite=True)
    assert len(read_manifest(out).shards) == 2 and len(list(out.iterdir())) == 4


def test_a_folder_with_something_else_is_left_alone(files, tmp_path):
    for name, overwrite in (("notes.txt", False), ("notes.txt", True), ("panoptic.json", False)):
        folder = tmp_path / f"{name}{overwrite}"
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(InputError, match=f"holds something else .{name}."):
            write_records(files, folder, 3, overwrite=overwrite)
        assert contents(folder) == {name: b"mine"}


def test_a_small_set_has_one_image_a_shard_by_default(files, out):
    assert [shard.images for shard in write_records(files, out).shards] == [1] * 7


def test_more_shards_than_images_are_refused(files, out):
    with pytest.raises(InputError, match="--shards must be 1 to the number of images, 7, found 8"):
        write_records(files, out, shards=8)


@pytest.mark.parametrize("error", ["in TensorFlow", "in Python"])
def test_a_full_disk_is_told_in_one_line(files, out, monkeypatch, error):
    def fail(*arguments):
        if error == "in TensorFlow":
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shard, "example_bytes", fail)
    with pytest.raises(WorkFailed, match=r"tfrecord: cannot be written \(No space left on device\)$"):
        write_records(files, out, shards=3)
    assert not list(out.glob("*.tfrecord*"))


def test_too_little_space_is_told_at_once(files, out, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(WorkFailed, match=r"no space, \d+ bytes are left to write and 1 are free"):
        write_records(files, out, shards=3)


def test_other_truth_becomes_a_png_without_loss(files, out, tmp_path):
    """Records out of records, as data of any storage."""
    write_records(files, out, shards=3)
    write_records(read_records(out), tmp_path / "again", shards=3)
    for name in ("panoptic.json", SHARD):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def test_checksums_find_a_changed_byte(files, out):
    manifest = write_records(files, out, shards=3)
    require_checksums(out, manifest)
    content = bytearray((out / SHARD).read_bytes())
    content[50] ^= 1
    (out / SHARD).write_bytes(content)
    read_records(out)
    with pytest.raises(InputError, match=f"{SHARD}: its SHA-256 is not that of"):
        require_checksums(out, manifest)


def test_a_missing_cut_or_foreign_shard_is_named(files, out):
    write_records(files, out, shards=3)
    content = (out / SHARD).read_bytes()
    for wrong, words in ((content[:-1], "cut short"), (content + b"0", "of another conversion")):
        (out / SHARD).write_bytes(wrong)
        with pytest.raises(InputError, match=f"{SHARD}: {words}, {len(wrong)} bytes, but .* says {len(content)}"):
            read_records(out)
    (out / SHARD).unlink()
    with pytest.raises(InputError, match=f"{SHARD}: no such file, but .*manifest.json lists it"):
        read_records(out)


def test_another_version_is_named(files, out):
    write_records(files, out, shards=3)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "tfpanoptic_records": 2}))
    with pytest.raises(InputError, match="records of version 2, this tfpanoptic reads version 1"):
        read_records(out)


def test_a_remapped_set_without_void_in_an_image_is_read_back(coco, out):
    coco.add(np.full((3, 5), 5), [(5, 3, 0, 15)])  # void nowhere
    dataset = remapped(coco.read(), validate(RemapConfig, {"void": "rest"}, "remap"))
    write_records(dataset, out)
    for record, other in zip(dataset.records, read_records(out).records, strict=True):
        truth, written = read_segment_map(record), read_segment_map(other)
        np.testing.assert_array_equal(written.ids, truth.ids)
        np.testing.assert_array_equal(written.segments, truth.segments)


def test_a_lock_that_another_process_has_just_removed_is_none(files, out, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda file, mode: (out / "writing.lock").unlink())
    with pytest.raises(InputError, match="another process writes here"):
        write_records(files, out, shards=3)
    assert list(out.iterdir()) == []
