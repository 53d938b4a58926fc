"""Photos and truth in other places and formats than two files of the COCO format, each against these two files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpanoptic.data.dataset import label_table, read_record_image, read_segment_map
from tfpanoptic.data.examples import file_reader, memory_reader
from tfpanoptic.data.storage import COCO_PNG, GREY_PNG, Storage
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import segment_rows, to_panoptic_map

SHARDED = Storage(COCO_PNG, "photo", ("truth",))


def record_of(**features: bytes) -> bytes:
    named = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


@pytest.fixture
def sharded(several, tmp_path):
    """The dataset as files, and the same in two shards."""
    dataset, records = several.read(), []
    for number, paths in enumerate((tmp_path / "0.tfrecord", tmp_path / "1.tfrecord")):
        with tf.io.TFRecordWriter(str(paths)) as writer:
            offset = 0
            for record in dataset.records[number::2]:
                content = record_of(photo=record.image_path.read_bytes(), truth=record.panoptic_path.read_bytes())
                writer.write(content)
                place = {"image_path": paths, "panoptic_path": paths, "offset": offset}
                records.append(replace(record, storage=SHARDED, **place))
                offset += len(content) + 16  # length, and two checksums
    order = [*range(0, 7, 2), *range(1, 7, 2)]
    return replace(dataset, records=tuple(dataset.records[i] for i in order)), replace(dataset, records=tuple(records))


@pytest.mark.parametrize("reader", [file_reader, memory_reader])
def test_records_of_shards_are_read_as_files(sharded, reader):
    files, shards = sharded
    numbers = tf.data.Dataset.range(len(files))
    pairs = zip(numbers.map(file_reader(files)), numbers.map(reader(shards)), strict=True)
    for (image, panoptic), (sharded_image, sharded_panoptic) in pairs:
        np.testing.assert_array_equal(sharded_image, image)
        np.testing.assert_array_equal(sharded_panoptic, panoptic)


def test_records_of_shards_are_read_as_files_outside_the_graph(sharded):
    for file, record in zip(*(dataset.records for dataset in sharded), strict=True):
        np.testing.assert_array_equal(read_record_image(record), read_record_image(file))
        np.testing.assert_array_equal(read_segment_map(record).ids, read_segment_map(file).ids)


@pytest.mark.parametrize("cut", [-1, -2000, 5])
def test_a_shard_that_was_cut_short_is_named(sharded, cut):
    shards = sharded[1]
    record = shards.records[3]  # the last of its shard
    record.image_path.write_bytes(record.image_path.read_bytes()[:cut])
    with pytest.raises(InputError, match=f"{record.image_path.name}: no whole record at byte {record.offset}"):
        read_record_image(record)


def test_a_record_without_a_feature_is_named(sharded):
    record = replace(sharded[1].records[0], storage=Storage(COCO_PNG, "image", ("truth",)))
    with pytest.raises(InputError, match=r"0\.tfrecord.*0 values of image; expected one"):
        read_record_image(record)


@pytest.fixture
def grey(coco):
    """A function: dataset of one image whose truth is a grey PNG of some kind, of values 24001, 7, 0 and 1."""

    def make(dtype):
        values = np.array([[241] * 6, [7] * 6, [7] * 4 + [24] * 2, [1] * 4 + [24] * 2])
        values = values if dtype == np.uint8 else np.where(values == 241, 24_001, values)
        dataset = coco.read()
        path = dataset.records[0].panoptic_path.with_name("grey.png")
        Image.fromarray(values.astype(dtype)).save(path)
        ids = [int(values[0, 0]), 7, 24]
        rows = segment_rows(ids, [2, 1, 2], [False, False, True], [6, 10, 4])
        record = replace(
            dataset.records[0],
            panoptic_path=path,
            segments=rows,
            id_map=np.array([(i, i) for i in ids] + [(1, 0)], np.int32),
            storage=Storage(GREY_PNG),
        )
        return dataset, replace(dataset, records=(record,))

    return make


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_values_are_segment_ids(grey, dtype):
    coco, dataset = grey(dtype)
    expected = to_panoptic_map(read_segment_map(coco.records[0]), coco.categories)[0]
    record = dataset.records[0]
    np.testing.assert_array_equal(file_reader(dataset)(tf.constant(0, tf.int64))[1], expected)
    np.testing.assert_array_equal(to_panoptic_map(read_segment_map(record), dataset.categories)[0], expected)


def test_a_value_that_the_annotation_does_not_list_is_named(grey):
    _, dataset = grey(np.uint16)
    record = replace(dataset.records[0], id_map=dataset.records[0].id_map[:-1])
    with pytest.raises(InputError, match=r"grey\.png: holds segment 1, which the annotation of 0\.png does not list"):
        read_segment_map(record)


def test_an_id_map_joins_drops_and_fills(coco):
    """70000 and 6, cells, become one piece of ground; ground is dropped; void becomes ground, too."""
    dataset = coco.read()
    id_map = np.array([(70000, 9), (6, 9), (5, 0), (0, 9)], np.int32)
    rows = segment_rows([9], [1], areas=[14])
    record = replace(dataset.records[0], segments=rows, id_map=id_map)
    expected = np.array([[9] * 6, [0] * 6, [0] * 4 + [9] * 2, [9] * 6])
    np.testing.assert_array_equal(read_segment_map(record).ids, expected)
    remapped = replace(dataset, records=(record,))
    np.testing.assert_array_equal(file_reader(remapped)(tf.constant(0, tf.int64))[1], np.where(expected, 10_000, 0))
    ids, labels = label_table(record, dataset.categories)
    assert dict(zip(ids.tolist(), labels.tolist(), strict=True)) == {0: 10_000, 5: 0, 6: 10_000, 70000: 10_000}


def test_messages_name_the_shard_and_the_image(sharded):
    record = sharded[1].records[1]
    assert record.image_name == f"{Path(record.image_path)}, image 2.png"
    assert record.panoptic_name == record.image_name
