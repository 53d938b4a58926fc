"""Sets of label maps made in memory, as a reader of another format yields them."""

import errno
import json
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data import coco_writer
from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.coco_writer import WriteOptions, write_source
from tfpanoptic.data.conversions.source import Scene, Source
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.segment_map import SegmentMap, segment_rows

TABLE = CategoryTable.from_coco([{"id": 5, "name": "cell", "isthing": 1}, {"id": 2, "name": "ground", "isthing": 0}])
IDS = np.array([[7, 7, 0], [70000, 70000, 70000]], np.int32)


@pytest.fixture
def source(tmp_path):
    """(names of photos, ids) -> a set with a cell 70000 and ground 7; rows claim areas that are wrong."""
    folder = tmp_path / "photos"
    folder.mkdir()

    def call(names=("a.png", "b.jpg"), ids=IDS, read=None):
        scenes = []
        for number, name in enumerate(names):
            pixels = np.random.default_rng(number).integers(0, 256, (*ids.shape, 3), dtype=np.uint8)
            (folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / name)
            # Ground is 1 and cell 2 in the order of the source ids.
            truth = SegmentMap(ids, segment_rows([70000, 7, 9], [2, 1, 2], areas=[1.5, 2.5, 3.5]))
            scenes.append(Scene(name, folder / name, {"id": 10 + number}, read or (lambda tally, truth=truth: truth)))
        return Source(TABLE, scenes, Tally(), [folder])

    return call


def test_what_is_written_is_read_again(source, tmp_path):
    report = write_source(source(), tmp_path / "out", WriteOptions(), {"from": "test"})
    dataset = read_coco_panoptic(tmp_path / "out/images", tmp_path / "out/panoptic.json", tmp_path / "out/panoptic")
    assert [record.file_name for record in dataset.records] == ["a.png", "b.jpg"]
    for record in dataset.records:
        truth = read_segment_map(record)
        assert np.array_equal(truth.ids, IDS)
        # The row without a pixel is gone, and areas are pixels.
        assert truth.segments[["id", "category", "area"]].tolist() == [(70000, 2, 3.0), (7, 1, 2.0)]
    assert report == json.loads((tmp_path / "out/conversion.json").read_text())
    assert (report["images"], report["segments"], report["segments_per_category"]) == (2, 4, {"ground": 2, "cell": 2})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


def test_the_order_is_that_of_the_source_whatever_the_threads(source, tmp_path):
    names = [f"{number:02d}.png" for number in range(20)]
    write_source(source(names), tmp_path / "out", WriteOptions(workers=4), {})
    content = json.loads((tmp_path / "out/panoptic.json").read_text())
    assert [image["file_name"] for image in content["images"]] == names
    assert [annotation["image_id"] for annotation in content["annotations"]] == list(range(10, 30))


def test_photos_may_be_linked(source, tmp_path):
    original = tmp_path / "photos/a.png"
    write_source(source(), tmp_path / "hard", WriteOptions(photos="hard-link"), {})
    assert (tmp_path / "hard/images/a.png").samefile(original) and not (tmp_path / "hard/images/a.png").is_symlink()
    write_source(source(), tmp_path / "soft", WriteOptions(photos="symlink"), {})
    assert (tmp_path / "soft/images/a.png").readlink() == original.resolve()


def test_photos_that_differ_by_their_endings_get_maps_of_their_own(source, tmp_path):
    # The last one with another ending would have the name of the first one's map.
    write_source(source(["a.png", "a.jpg", "a.png.jpg"]), tmp_path / "out", WriteOptions(), {})
    content = json.loads((tmp_path / "out/panoptic.json").read_text())
    assert [a["file_name"] for a in content["annotations"]] == ["a.png.png", "a.jpg.png", "a.png.jpg.png"]
    with pytest.raises(InputError, match="a.png: 2 images of this name"):
        write_source(source(["a.png", "a.png"]), tmp_path / "twice", WriteOptions(), {})


def test_missing_and_damaged_photos_are_an_error_or_left_out(source, tmp_path):
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    given = source(names, np.tile(IDS, (40, 40)))
    content = (tmp_path / "photos/b.jpg").read_bytes()
    (tmp_path / "photos/b.jpg").write_bytes(content[: len(content) // 2])
    for name in ("c.jpg", "d.jpg"):
        (tmp_path / "photos" / name).unlink()
    with pytest.raises(InputError, match="photos/c.jpg: no such file, and 1 more of 4 photos; .*--skip-missing"):
        write_source(given, tmp_path / "out", WriteOptions(), {})
    with pytest.raises(InputError, match="photos/b.jpg: damaged or cut short .*--skip-damaged"):
        write_source(given, tmp_path / "out", WriteOptions(skip_missing=True), {})
    assert not (tmp_path / "out").exists()
    report = write_source(given, tmp_path / "out", WriteOptions(skip_missing=True, skip_damaged=True), {})
    assert report["images"] == 1 and os.listdir(tmp_path / "out/images") == ["a.jpg"]
    assert {c["code"]: c["count"] for c in report["changes"]} == {"photo-missing": 2, "image-damaged": 1}
    (tmp_path / "photos/a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="no image is left"):
        write_source(given, tmp_path / "none", WriteOptions(skip_missing=True, skip_damaged=True), {})


def test_nothing_is_worked_on_after_the_first_error(source, tmp_path):
    begun = []

    def read(tally):
        begun.append(threading.current_thread())
        time.sleep(0.01)
        raise InputError("no truth")

    with pytest.raises(InputError, match="no truth") as kept:  # with its traceback, and so with all that it refers to
        write_source(source([f"{n}.png" for n in range(50)], read=read), tmp_path / "out", WriteOptions(workers=2), {})
    assert kept.traceback and len(begun) < 25 and not any(thread.is_alive() for thread in begun)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_ids_beyond_24_bits_are_refused(source, tmp_path):
    ids = np.array([[1 << 24, 1]], np.int32)
    truth = SegmentMap(ids, segment_rows([1 << 24, 1], [2, 2]))
    with pytest.raises(InputError, match="segment id 16777216; expected at most 16777215"):
        write_source(source(["a.png"], ids, lambda tally: truth), tmp_path / "out", WriteOptions(), {})


@pytest.mark.parametrize("what", ["Image.Image.save", "shutil.copyfile", "json.dump"])
def test_a_full_disk_is_one_line_and_leaves_nothing(what, source, tmp_path, monkeypatch):
    given = source()

    def full(*arguments, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, attribute = what.rsplit(".", 1)
    target = coco_writer
    for part in owner.split("."):
        target = getattr(target, part)
    monkeypatch.setattr(target, attribute, full)
    with pytest.raises(WorkFailed, match="out: cannot be written .No space left on device"):
        write_source(given, tmp_path / "out", WriteOptions(), {})
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_an_interrupt_leaves_what_was_there(source, tmp_path):
    write_source(source(), tmp_path / "out", WriteOptions(), {})

    def stop(tally):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_source(source(read=stop), tmp_path / "out", WriteOptions(overwrite=True), {})
    assert len(json.loads((tmp_path / "out/panoptic.json").read_text())["images"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


def test_only_an_older_conversion_is_replaced(source, tmp_path):
    write_source(source(), tmp_path / "out", WriteOptions(), {})
    with pytest.raises(InputError, match="out: exists already; give --overwrite"):
        write_source(source(), tmp_path / "out", WriteOptions(), {})
    write_source(source(["c.png"]), tmp_path / "out", WriteOptions(overwrite=True), {})
    assert os.listdir(tmp_path / "out/images") == ["c.png"]
    with pytest.raises(InputError, match="photos: exists and holds something else"):
        write_source(source(), tmp_path / "photos", WriteOptions(overwrite=True), {})
    inside = Source(TABLE, source().scenes, Tally(), [tmp_path / "out/images"])
    with pytest.raises(InputError, match="out/images: is read by this command"):
        write_source(inside, tmp_path / "out", WriteOptions(overwrite=True), {})
