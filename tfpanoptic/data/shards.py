"""Records of TFRecord files, read at their offset: any record at any time, so that the order of training is free.

A record lies as its length (uint64, little endian), a checksum of that, the bytes of a `tf.train.Example` and a
checksum of those. Source: https://www.tensorflow.org/tutorials/load_data/tfrecord ("TFRecords format details").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfpanoptic.errors import InputError, first_line

# Bytes that TensorFlow reads at a time, of a photo and its truth as a rule all. Own choice.
BUFFER = 1 << 18
# What TensorFlow says of its operator in an error.
_OPERATOR = re.compile(r"\{\{.*?\}\} *| *\[Op:.*?\]")
# Bytes of a record beside its content: the length and two checksums.
FRAME = 8 + 4 + 4


def feature_reader(places: Sequence[tuple[Path, int]], features: Sequence[str]) -> Callable[[Any], list[Any]]:
    """A function: number of a record -> bytes of its features, string []; for use inside `Dataset.map`.

    Args:
        places: file and offset of each record.
        features: names, each of one text of bytes.
    """
    import tensorflow as tf

    paths = list(dict.fromkeys(path for path, _ in places))
    rows = {path: row for row, path in enumerate(paths)}
    names = tf.constant([str(path) for path in paths])
    files = tf.constant([rows[path] for path, _ in places])
    offsets = tf.constant([offset for _, offset in places], tf.int64)
    wanted = {name: tf.io.FixedLenFeature((), tf.string) for name in features}

    def read(number: Any) -> list[Any]:
        record = first_record(names[files[number]], offsets[number])
        parsed = tf.io.parse_single_example(record, wanted)
        return [parsed[name] for name in features]

    return read


def first_record(path: Any, offset: Any) -> Any:
    """The bytes of the record at an offset of a TFRecord file, string []; its checksums are verified.

    Args:
        path: string [].
        offset: int64 [].
    """
    import tensorflow as tf

    raw = tf.raw_ops
    records = raw.TFRecordDatasetV2(filenames=[path], compression_type="", buffer_size=BUFFER, byte_offsets=[offset])
    kind: dict[str, Any] = {"output_types": [tf.string], "output_shapes": [[]]}
    first = raw.TakeDataset(input_dataset=records, count=tf.constant(1, tf.int64), **kind)
    return tf.ensure_shape(raw.DatasetToSingleElement(dataset=first, **kind)[0], ())


def read_features(path: Path, offset: int, features: Sequence[str]) -> list[bytes]:
    """The bytes of some features of one record.

    Raises:
        InputError: there is no whole record at the offset, or it lacks a feature.
    """
    import tensorflow as tf

    try:
        record = first_record(tf.constant(str(path)), tf.constant(offset, tf.int64)).numpy()
        example = tf.train.Example.FromString(record)
    except (tf.errors.OpError, ValueError) as error:
        reason = _OPERATOR.sub("", first_line(error))
        raise InputError(f"{path}: no whole record at byte {offset} ({reason})") from None
    values = [example.features.feature[name].bytes_list.value for name in features]
    for name, value in zip(features, values, strict=True):
        if len(value) != 1:
            raise InputError(f"{path}: the record at byte {offset} has {len(value)} values of {name}; expected one")
    return [value[0] for value in values]
