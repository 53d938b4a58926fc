"""Shards as DeepLab2 and Model Garden write them; maps and what they mean are worked out by hand."""

import json
from io import BytesIO

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpanoptic.data.dataset import label_table, read_segment_map
from tfpanoptic.data.examples import file_reader
from tfpanoptic.data.records import scan
from tfpanoptic.data.records.dataset import RecordsConfig, load_records
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import to_panoptic_map


def encoded(values: np.ndarray, kind: str = "PNG") -> bytes:
    content = BytesIO()
    Image.fromarray(values).save(content, kind)
    return content.getvalue()


def feature(value) -> tf.train.Feature:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def write(path, *examples: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = tf.train.Features(feature={name: feature(value) for name, value in example.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def photo(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def deeplab2(name: str, panoptic: np.ndarray, seed: int = 0) -> dict:
    """As `create_tfexample` of its `data/data_utils.py`."""
    height, width = panoptic.shape
    return {
        "image/encoded": encoded(photo(height, width, seed)),
        "image/filename": name.encode(),
        "image/format": b"png",
        "image/height": height,
        "image/width": width,
        "image/channels": 3,
        "image/segmentation/class/encoded": panoptic.astype("<i4").tobytes(),
        "image/segmentation/class/format": b"raw",
    }


def model_garden(name: str, image_id: int, category: np.ndarray, instance: np.ndarray) -> dict:
    """As `create_tf_example` of `official/vision/data/create_coco_tf_record.py`, as far as it is read."""
    height, width = category.shape
    return {
        "image/encoded": encoded(photo(height, width, image_id), "JPEG"),
        "image/filename": name.encode(),
        "image/source_id": str(image_id).encode(),
        "image/height": height,
        "image/width": width,
        "image/format": b"jpg",
        "image/panoptic/category_mask": encoded(category.astype(np.uint8)),
        "image/panoptic/instance_mask": encoded(instance.astype(np.uint8)),
    }


def config(folder, written_by: str, **settings) -> RecordsConfig:
    return RecordsConfig(train=str(folder), val=str(folder), written_by=written_by, **settings)


def assert_truth(dataset, number: int, expected: np.ndarray) -> None:
    """The panoptic map, in the graph and outside."""
    np.testing.assert_array_equal(
        to_panoptic_map(read_segment_map(dataset.records[number]), dataset.categories)[0], expected
    )
    np.testing.assert_array_equal(file_reader(dataset)(tf.constant(number, tf.int64))[1], expected)


# Train ids: 0 road, 11 person, 13 car, 255 void. Our categories are train id + 1.
STREET = np.array([[0, 0, 13_001, 13_001], [0, 11_000, 13_002, 13_002], [255_000, 255_000, 11_001, 0]])
STREET_MAP = np.array(
    [[10_000, 10_000, 140_001, 140_001], [10_000, 120_000, 140_002, 140_002], [0, 0, 120_001, 10_000]]
)


@pytest.fixture
def street(tmp_path):
    shards = tmp_path / "street"
    write(shards / "val-00000-of-00002.tfrecord", deeplab2("ulm_0", STREET), deeplab2("ulm_1", STREET[:, ::-1], 1))
    write(shards / "val-00001-of-00002.tfrecord", deeplab2("ulm_2", STREET[::-1], 2))
    write(shards / "train-00000-of-00001.tfrecord", deeplab2("aachen_0", STREET[:2], 3))
    return shards


def test_deeplab2_cityscapes(street):
    """Road is the value 0, which is void elsewhere; the person without a number is a crowd."""
    dataset = load_records(config(street, "deeplab2", categories="cityscapes"), "val")
    assert [record.file_name for record in dataset.records] == ["ulm_0", "ulm_1", "ulm_2"]
    assert_truth(dataset, 0, STREET_MAP)
    assert_truth(dataset, 1, STREET_MAP[:, ::-1])
    assert_truth(dataset, 2, STREET_MAP[::-1])
    rows = {dataset.categories[int(row["category"])].name: [] for row in dataset.records[0].segments}
    for row in dataset.records[0].segments:
        rows[dataset.categories[int(row["category"])].name].append((bool(row["iscrowd"]), row["area"]))
    assert rows == {"road": [(False, 4)], "person": [(True, 1), (False, 1)], "car": [(False, 2), (False, 2)]}
    image = file_reader(dataset)(tf.constant(1, tf.int64))[0]
    np.testing.assert_array_equal(image, photo(3, 4, 1))


def test_a_split_is_its_own_shards(street):
    dataset = load_records(config(street, "deeplab2", categories="cityscapes"), "train")
    assert [(record.file_name, record.height) for record in dataset.records] == [("aachen_0", 2)]
    with pytest.raises(InputError, match=r"data\.pattern.*part-val-\*: no such file; expected the shards of val"):
        load_records(config(street, "deeplab2", categories="cityscapes", pattern="part-{split}-*"), "val")


def test_deeplab2_coco(tmp_path):
    """Labels are 1..133 in the order of COCO's ids: 12 is its 13, a stop sign; 81 its 92, banner, stuff; 0 is void."""
    panoptic = np.array([[12 * 256 + 1, 12 * 256 + 2], [0, 81 * 256]])
    write(tmp_path / "coco" / "val-00000-of-00001.tfrecord", deeplab2("000000000139", panoptic))
    dataset = load_records(config(tmp_path / "coco", "deeplab2", categories="coco"), "val")
    assert_truth(dataset, 0, np.array([[120_001, 120_002], [0, 810_000]]))
    names = [dataset.categories[int(row["category"])].name for row in dataset.records[0].segments]
    assert names == ["stop sign", "stop sign", "banner"]


def test_deeplab2_with_categories_of_ones_own(tmp_path):
    """Labels are the ids of the file."""
    table = [{"id": 0, "name": "ground", "isthing": 0}, {"id": 4, "name": "person", "isthing": 1}]
    (tmp_path / "categories.json").write_text(json.dumps(table))
    write(tmp_path / "s" / "val-0.tfrecord", deeplab2("a", np.array([[0, 4_001, 4_002, 32_000, 4_000]])))
    own = {"categories": str(tmp_path / "categories.json"), "divisor": 1000}
    dataset = load_records(config(tmp_path / "s", "deeplab2", **own, ignore_label=32), "val")
    assert_truth(dataset, 0, np.array([[10_000, 20_001, 20_002, 0, 20_000]]))
    with pytest.raises(InputError, match=r"val-0\.tfrecord, image a: label 32 is of no category; expected labels of 0"):
        load_records(config(tmp_path / "s", "deeplab2", **own), "val")
    with pytest.raises(InputError, match=r"data\.ignore_label: 4 is the label of a category"):
        load_records(config(tmp_path / "s", "deeplab2", **own, ignore_label=4), "val")


def test_model_garden(tmp_path):
    """Category ids are COCO's own: 13 a stop sign, 92 banner; instances count on over all segments; 0 is void."""
    category = np.array([[13, 13, 0], [92, 13, 92]])
    instance = np.array([[1, 1, 0], [0, 3, 0]])
    write(tmp_path / "s" / "val-00000-of-00001.tfrecord", model_garden("139.jpg", 139, category, instance))
    dataset = load_records(config(tmp_path / "s", "model_garden", categories="coco"), "val")
    assert (dataset.records[0].file_name, dataset.records[0].image_id) == ("139.jpg", 139)
    assert_truth(dataset, 0, np.array([[120_001, 120_001, 0], [810_000, 120_002, 810_000]]))
    assert not dataset.records[0].segments["iscrowd"].any()


def test_the_second_start_reads_no_shard(street, monkeypatch):
    setting = config(street, "deeplab2", categories="cityscapes")
    first = load_records(setting, "val")
    monkeypatch.setattr(scan, "_describe_all", None)
    second = load_records(setting, "val")
    for record, other in zip(first.records, second.records, strict=True):
        assert (record.offset, record.image_path) == (other.offset, other.image_path)
        np.testing.assert_array_equal(label_table(record, first.categories), label_table(other, second.categories))


def test_a_changed_shard_is_read_again(street):
    setting = config(street, "deeplab2", categories="cityscapes")
    load_records(setting, "train")
    write(street / "train-00000-of-00001.tfrecord", deeplab2("bonn_00", STREET))
    assert [(r.file_name, r.height) for r in load_records(setting, "train").records] == [("bonn_00", 3)]


def test_a_cache_that_cannot_be_written_is_named_once_a_shard(street, cache, capsys):
    (cache / "scans").write_text("a file")
    dataset = load_records(config(street, "deeplab2", categories="cityscapes"), "val")
    assert len(dataset) == 3 and capsys.readouterr().err.count("the next start will read these files again") == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"image/segmentation/class/encoded": None},
            "expected one text of bytes under image/segmentation/class/encoded",
        ),
        ({"image/segmentation/class/format": b"png"}, "'png', semantic truth without instances; expected 'raw'"),
        ({"image/height": 4}, "the map has 48 bytes; expected 4 for each of 4 x 4 pixels"),
        ({"image/height": -3, "image/width": -4}, "the image is -3 x -4; expected 1 pixel or more a side"),
        ({"image/height": 0, "image/segmentation/class/encoded": b""}, "expected 1 pixel or more a side"),
        ({"image/width": None}, "expected 1 integers under image/width, found 0"),
        ({"image/segmentation/class/encoded": np.full(12, 2**31 - 1, "<i4").tobytes()}, "is negative or too large"),
        ({"image/segmentation/class/encoded": np.full(12, -1, "<i4").tobytes()}, "is negative or too large"),
        ({"image/filename": b"\xff"}, "expected UTF-8 under image/filename"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_by_its_place(tmp_path, change, words):
    good = deeplab2("a", STREET)
    wrong = {name: value for name, value in {**good, **change}.items() if value is not None}
    write(tmp_path / "s" / "val-0.tfrecord", good, wrong)
    with pytest.raises(InputError, match=r"val-0\.tfrecord: the record at byte \d+: ") as error:
        load_records(config(tmp_path / "s", "deeplab2", categories="cityscapes"), "val")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: content[:-9], "no whole record at byte"),
        (lambda content: content[:200] + b"?" + content[201:], "no whole record at byte 0"),
        (lambda content: b"", "no record in it"),
        (lambda content: b"\x1f\x8b" + content, "compressed; expected TFRecords that are not"),
    ],
)
def test_a_damaged_shard_is_named(street, spoil, words):
    path = street / "val-00001-of-00002.tfrecord"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=f"{path.name}: {words}"):
        load_records(config(street, "deeplab2", categories="cityscapes"), "val")


def test_a_missing_shard_is_named(street):
    (street / "val-00000-of-00002.tfrecord").unlink()
    with pytest.raises(InputError, match="street: val-00000-of-00002 is missing, 1 of 00002 shards are"):
        load_records(config(street, "deeplab2", categories="cityscapes"), "val")


def test_two_images_of_one_name_are_named(tmp_path):
    write(tmp_path / "s" / "val-0.tfrecord", deeplab2("a", STREET), deeplab2("a", STREET, 1))
    with pytest.raises(InputError, match="image a is there twice, in .* at byte 0 and "):
        load_records(config(tmp_path / "s", "deeplab2", categories="cityscapes"), "val")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"written_by": "deeplab2"}, "data.categories: expected"),
        ({"written_by": "deeplab2", "categories": "own.json"}, "data.divisor: expected the panoptic_label_divisor"),
        (
            {"written_by": "model_garden", "categories": "coco", "divisor": 256},
            "data.divisor: is for records of deeplab2",
        ),
        ({"ignore_label": 255}, "data.ignore_label: is for records of other tools"),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings, words):
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        RecordsConfig(train="a", val="b", **settings)
