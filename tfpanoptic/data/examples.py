"""A dataset as tensors: image number -> decoded image and panoptic map, in TensorFlow operators.

Python reads the headers of the images, those of a large dataset each when its image is first asked for, and decodes the
images that TensorFlow does not decode to the same pixels.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfpanoptic.compiled import LAST, compiled, roomy, row_of, with_tables
from tfpanoptic.data.dataset import (
    BY_PILLOW,
    Dataset,
    check_records,
    label_table,
    read_orientation,
    read_record_image,
)
from tfpanoptic.data.encoded_image import decoded, upright
from tfpanoptic.data.shards import feature_reader
from tfpanoptic.settings.sizes import DeepGrey

# Image number int64 [] -> uint8 [H, W, 3] and panoptic map int32 [H, W].
Reader = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Source(NamedTuple):
    """A dataset as maps of ids, so that labels are looked up for those pixels alone that are needed.

    Attributes:
        read: image number, int64 [] -> uint8 `[H, W, 3]` and int32 `[H, W]`, the ids of the file.
        labels: (any part of that map, int32 `[h, w]`, the number) -> panoptic map of it, int32 `[h, w]`. It fails,
            naming the file, for an id that the annotation does not list.
    """

    read: Reader
    labels: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


# Decoded bytes a pixel: three of the image, four of the panoptic map.
BYTES_PER_PIXEL = 7
# A dataset of at most so many images has all headers read before its first example, so that a wrong file is told at
# once. Own choice: Mapillary Vistas and ADE20K are smaller, COCO is not; 0.13 ms an image on a local disk.
MOST_HEADERS_AT_ONCE = 25_000


def decoded_bytes(dataset: Dataset) -> int:
    """Memory that all images and panoptic maps of the dataset take once decoded."""
    return sum(BYTES_PER_PIXEL * record.height * record.width for record in dataset.records)


def file_reader(dataset: Dataset, deep_grey: DeepGrey = "high_byte") -> Reader:
    """A function of the image number that reads and decodes its files, or its record; for use inside `Dataset.map`.

    The image is that of `read_record_image`, to the pixel. The function fails, naming the file, where a map and its
    annotation do not hold the same segments.

    Args and errors are those of `file_source`.
    """
    read, look_up = _ids_reader(dataset, deep_grey), _look_up_of(dataset)

    def reader(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, ids = read(number)
        return image, look_up(ids, number, True)

    return reader


def file_source(dataset: Dataset, deep_grey: DeepGrey = "high_byte") -> Source:
    """Files, or records, that are read and decoded each time; for use inside `Dataset.map`.

    The image is that of `read_record_image`, to the pixel.

    Args:
        dataset: the images.
        deep_grey: what becomes of grey values of more than 8 bits; `input.deep_grey`.

    Raises:
        InputError: a file is missing, unreadable or of another size than the annotation says (headers are read here,
            those of a large dataset when its images are), or an image holds more instances of a category than a
            panoptic map can.
    """
    look_up = _look_up_of(dataset)
    return Source(_ids_reader(dataset, deep_grey), lambda ids, number: look_up(ids, number, False))


def _ids_reader(dataset: Dataset, deep_grey: DeepGrey) -> Reader:
    orientation_of = (_known_orientations if len(dataset) <= MOST_HEADERS_AT_ONCE else _later_orientations)(dataset)
    contents_of = _contents_reader(dataset)
    decode = dataset.records[0].storage.truth.decode
    sizes = tf.constant([(record.height, record.width) for record in dataset.records])
    by_pillow = _pillow_reader(dataset, deep_grey)

    def read(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        orientation = orientation_of(number)
        with tf.control_dependencies([orientation]):  # a header that is wrong is told by the file's name
            photo, *truth = contents_of(number)
            image = tf.cond(
                orientation == BY_PILLOW, lambda: by_pillow(number), lambda: upright(decoded(photo), orientation)
            )
        return image, decode(truth, sizes[number])

    return read


def _contents_reader(dataset: Dataset) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Image number -> bytes of the photo and of each part of the truth, string []."""
    storage = dataset.records[0].storage
    if storage.image_feature is not None:
        places = [(record.image_path, record.offset) for record in dataset.records]
        return feature_reader(places, (storage.image_feature, *storage.truth_features))
    image_paths = tf.constant([str(record.image_path) for record in dataset.records])
    panoptic_paths = tf.constant([str(record.panoptic_path) for record in dataset.records])
    return lambda number: [tf.io.read_file(image_paths[number]), tf.io.read_file(panoptic_paths[number])]


def _known_orientations(dataset: Dataset) -> Callable[[tf.Tensor], tf.Tensor]:
    """Image number -> EXIF orientation int32 [], from all headers, read now; threads make it slower."""
    known = [read_orientation(record) for record in dataset.records]
    suffixes = Counter(
        record.image_path.suffix for record, orientation in zip(dataset.records, known) if orientation == BY_PILLOW
    )
    if suffixes:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
        print(
            f"{dataset.name} {dataset.split}: {suffixes.total()} of {len(dataset)} images are decoded with Pillow "
            f"({kinds}); TensorFlow reads such files otherwise or not at all",
            file=sys.stderr,
        )
    orientations = tf.constant(known, tf.int32)
    return lambda number: orientations[number]


def _later_orientations(dataset: Dataset) -> Callable[[tf.Tensor], tf.Tensor]:
    """Image number -> EXIF orientation int32 []; each header is read when it is first asked for."""
    orientations = np.full(len(dataset), -1, np.int32)  # -1: not read yet

    def read(number: np.ndarray) -> np.ndarray:
        if orientations[number] < 0:
            orientations[number] = read_orientation(dataset.records[number])
        return orientations[number]

    return lambda number: tf.ensure_shape(tf.numpy_function(read, [number], tf.int32, stateful=False), ())


def _pillow_reader(dataset: Dataset, deep_grey: DeepGrey) -> Callable[[tf.Tensor], tf.Tensor]:
    """Image number -> its pixels by `read_record_image`, uint8 `[H, W, 3]`."""

    def read(number: np.ndarray) -> np.ndarray:
        return read_record_image(dataset.records[number], deep_grey)

    return lambda number: tf.ensure_shape(tf.numpy_function(read, [number], tf.uint8, stateful=False), (None, None, 3))


def memory_source(dataset: Dataset, deep_grey: DeepGrey = "high_byte") -> Source:
    """Decoded images held in memory; their ids are labels already. Args and errors are those of `memory_reader`."""
    return Source(memory_reader(dataset, deep_grey), lambda labels, number: labels)


def memory_reader(dataset: Dataset, deep_grey: DeepGrey = "high_byte") -> Reader:
    """The same function as `file_reader`, from decoded images held in memory.

    Raises:
        InputError: as `file_reader`, and for the first file that cannot be decoded.
    """
    sizes = [(record.height, record.width) for record in dataset.records]
    pixels = np.array([height * width for height, width in sizes], np.int64)
    images, panoptics = [], []
    decoded = tf.data.Dataset.range(len(dataset)).map(file_reader(dataset, deep_grey), tf.data.AUTOTUNE)
    try:
        for image, panoptic in decoded:
            images.append(image.numpy().reshape(-1, 3))
            panoptics.append(panoptic.numpy().reshape(-1))
    except tf.errors.OpError:
        # Images come in their order: this one failed. Names its file in one line.
        check_records(replace(dataset, records=dataset.records[len(images) : len(images) + 1]), deep_grey)
        raise
    flat_images, flat_panoptics = tf.constant(np.concatenate(images)), tf.constant(np.concatenate(panoptics))
    starts, counts, shapes = tf.constant(np.cumsum(pixels) - pixels), tf.constant(pixels), tf.constant(sizes)

    def read(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        start, count, shape = starts[number], counts[number], shapes[number]
        image = tf.reshape(flat_images[start : start + count], tf.concat([shape, [3]], 0))
        return image, tf.reshape(flat_panoptics[start : start + count], shape)

    return read


def _label_tables(dataset: Dataset) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """The ids of each image's map, ascending from 0 for void, and their panoptic labels, int32 `[n, None]`."""
    ids: list[Any] = []
    labels: list[Any] = []
    lengths = []
    for record in dataset.records:
        own_ids, own_labels = label_table(record, dataset.categories)
        void = [] if len(own_ids) and own_ids[0] == 0 else [0]  # an `id_map` may say what void becomes
        ids += [void, own_ids]
        labels += [void, own_labels]
        lengths.append(len(void) + len(own_ids))
    columns = [tf.constant(np.concatenate(column).astype(np.int32)) for column in (ids, labels)]
    return tuple(tf.RaggedTensor.from_row_lengths(column, lengths) for column in columns)  # type: ignore[return-value]


def _look_up_of(dataset: Dataset) -> Callable[[tf.Tensor, tf.Tensor, bool], tf.Tensor]:
    """A function: (map of ids, int32 `[h, w]`, image number, whether it is the whole map) -> panoptic map."""
    names = tf.constant([record.panoptic_name for record in dataset.records])
    all_ids, all_labels = _label_tables(dataset)

    def look_up(pixel_ids: tf.Tensor, number: tf.Tensor, whole: bool) -> tf.Tensor:
        ids, name, pixels = all_ids[number], names[number], tf.size(pixel_ids)
        # Of a few lengths, to be compiled for. The first entry of a table is void, or stands for it.
        flat = tf.pad(tf.reshape(pixel_ids, [-1]), [[0, roomy(pixels) - pixels]])
        found, rows, listed = with_tables(functools.partial(_look_up, flat), (ids, all_labels[number]), (LAST, 0))
        checks = [tf.debugging.Assert(listed, ["holds a segment that its annotation does not list:", name])]
        if whole:
            # Void, in row 0, may be absent.
            present = tf.reduce_all(tf.math.bincount(rows, minlength=tf.size(ids))[1:] > 0)
            checks += [tf.debugging.Assert(present, ["lacks a segment that its annotation lists:", name])]
        with tf.control_dependencies(checks):
            return tf.reshape(found[:pixels], tf.shape(pixel_ids))

    return look_up


@compiled
def _look_up(pixel_ids: tf.Tensor, ids: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The label and the row of each id, and whether all are in the table."""
    rows = row_of(pixel_ids, ids)
    return tf.gather(labels, rows), rows, tf.reduce_all(tf.gather(ids, rows) == pixel_ids)
