"""How images and their truth are stored: as files of their own or as records in shards, and how a map holds its ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.data.segment_png import read_grey_values, read_segment_ids

# The content of a file: where it lies, or its bytes.
Content = Path | BytesIO


@dataclass(frozen=True, eq=False)
class TruthFormat:
    """How a map of segment ids is stored.

    Attributes:
        name: of the format, for people.
        read: (content of each part, (height, width) by the annotation, the map's name for messages) -> int32 `[H, W]`.
            It raises `InputError` for a part that is missing, damaged or of another kind.
        decode: the same in TensorFlow operators: (bytes of each part, string [], (height, width), int32 [2]) -> int32
            `[H, W]`.
        png: whether the only part is a PNG, whose header tells the size.
    """

    name: str
    read: Callable[[Sequence[Content], tuple[int, int], str], np.ndarray]
    decode: Callable[[Sequence[Any], Any], Any]
    png: bool = True


@dataclass(frozen=True, eq=False)
class Storage:
    """Where the bytes of an image and of its truth are.

    Attributes:
        truth: the format of the truth.
        image_feature: name of the photo's bytes in a record of a shard; without one, photo and truth are files.
        truth_features: names of the parts of the truth in a record.
    """

    truth: TruthFormat
    image_feature: str | None = None
    truth_features: tuple[str, ...] = ()


def _read_ids(parts: Sequence[Content], size: tuple[int, int], origin: str) -> np.ndarray:
    del size
    return read_segment_ids(parts[0], origin)


def _decode_ids(parts: Sequence[Any], size: Any) -> Any:
    import tensorflow as tf

    del size
    # Four bytes of a pixel are one integer, with what is transparent in the highest.
    return tf.bitwise.bitwise_and(tf.bitcast(tf.io.decode_png(parts[0], channels=4), tf.int32), 0xFFFFFF)


def _read_grey(parts: Sequence[Content], size: tuple[int, int], origin: str) -> np.ndarray:
    del size
    return read_grey_values(parts[0], origin)


def _decode_grey(parts: Sequence[Any], size: Any) -> Any:
    import tensorflow as tf

    del size
    # Of a PNG of 8 bits TensorFlow makes v * 257.
    deep = tf.strings.substr(parts[0], BIT_DEPTH, 1) == b"\x10"
    values = tf.cast(tf.io.decode_png(parts[0], channels=1, dtype=tf.uint16), tf.int32)[..., 0]
    return tf.where(deep, values, values // 257)


# Where a PNG says how many bits a channel has. Source: PNG specification, section 11.2.1 (IHDR).
BIT_DEPTH = 24
# A PNG whose colours are ids: R + 256 G + 65536 B.
COCO_PNG = TruthFormat("RGB PNG of segment ids", _read_ids, _decode_ids)
# A grey PNG of 8 or 16 bits whose values are ids.
GREY_PNG = TruthFormat("grey PNG of segment ids", _read_grey, _decode_grey)
# A photo and a PNG of ids, each in a file of its own.
COCO_FILES = Storage(COCO_PNG)
