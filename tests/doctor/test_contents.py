"""Data that are not in COCO's files, checked by what their reader says of them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.doctor.small_data import codes
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.data.storage import COCO_PNG, GREY_PNG, Storage
from tfpanoptic.doctor.check import check
from tfpanoptic.doctor.sources import Source
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import ids_to_rgb, segment_rows

CATEGORIES = CategoryTable((Category(1, "road", False, (9, 9, 9), 7), Category(2, "car", True, (0, 0, 99), 26)))
# As Cityscapes has it: road 7, two cars, an ignored label 4.
VALUES = np.array([[7] * 8] * 4 + [[26000] * 4 + [26001] * 4] * 4 + [[4] * 8], np.uint16)


def record(folder, number):
    """A photo and a grey PNG in folders of their own."""
    photo, truth = folder / "city" / f"{number}.png", folder / "gt" / f"{number}_ids.png"
    for path in (photo, truth):
        path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (*VALUES.shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photo)
    Image.fromarray(VALUES).save(truth)
    segments = segment_rows([7, 26000, 26001], [1, 2, 2], areas=[32, 16, 16])
    id_map = np.array([[4, 0], [7, 7], [26000, 26000], [26001, 26001]], np.int32)
    name = f"city/{number}.png"
    return ImageRecord(photo, truth, name, number, *VALUES.shape, segments, id_map=id_map, storage=Storage(GREY_PNG))


def checked(records):
    dataset = Dataset("streets", "val", CATEGORIES, tuple(records))
    return check({"val": Source("streets val", lambda: dataset)}, workers=1)


@pytest.fixture
def records(tmp_path):
    return [record(tmp_path, number) for number in range(3)]


def test_sound_records_have_no_finding(records):
    report = checked(records)
    assert report["findings"] == []
    census = report["splits"]["val"]
    # One of nine rows is void.
    assert census["void_share"] == pytest.approx(1 / 9) and census["segments"] == 9


def test_files_of_records_are_checked_as_others_are(records):
    records[0].image_path.unlink()
    records[1].panoptic_path.write_bytes(records[1].panoptic_path.read_bytes()[:50])
    Image.fromarray(np.where(VALUES == 26001, 27001, VALUES)).save(records[2].panoptic_path)
    report = checked(records)
    assert codes(report) == {"image-missing": 1, "png-unreadable": 1, "id-unlisted": 1, "id-absent": 1}
    examples = {finding["code"]: finding["examples"][0] for finding in report["findings"]}
    assert examples["id-unlisted"] == "2_ids.png: id 27001, 16 pixels" and "0.png" in examples["image-missing"]


def test_segments_of_records_are_checked_as_others_are(records):
    records[0].segments["area"][1] = 99
    records[1] = replace(records[1], segments=records[1].segments[:0], id_map=records[1].id_map * [1, 0])
    assert codes(checked(records)) == {"area-differs": 1, "no-segment": 1, "much-void": 1}


def test_a_reader_that_stops_is_an_error():
    def load():
        raise InputError("root: no such folder; expected leftImg8bit and gtFine")

    report = check({"val": Source("streets val", load)})
    assert [(f["code"], f["examples"]) for f in report["findings"]] == [
        ("data-unreadable", ["root: no such folder; expected leftImg8bit and gtFine"])
    ]
    assert report["splits"] == {"val": None}


def test_records_of_shards_are_read_where_they_lie(tmp_path):
    import tensorflow as tf

    shard, offset, made = tmp_path / "a.tfrecord", 0, []
    truth = np.array([[1] * 6] * 4 + [[300] * 6] * 4)
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for number in range(2):
            pixels = np.random.default_rng(number).integers(0, 256, (8, 6, 3), dtype=np.uint8)
            values = [tf.io.encode_png(pixels).numpy(), tf.io.encode_png(ids_to_rgb(truth)).numpy()]
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for name, value in zip(("photo", "truth"), values, strict=True)
            }
            content = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
            writer.write(content)
            segments = segment_rows([1, 300], [1, 2], areas=[24, 24 + number])
            storage = Storage(COCO_PNG, "photo", ("truth",))
            made.append(
                ImageRecord(shard, shard, f"{number}.jpg", number, 8, 6, segments, storage=storage, offset=offset)
            )
            offset += len(content) + 16  # length, its checksum, the checksum of the content
    report = checked(made)
    assert codes(report) == {"area-differs": 1}
    assert report["findings"][0]["examples"] == ["1.jpg: segment 300: area 25, 24 pixels"]
