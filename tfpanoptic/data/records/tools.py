"""Records of other tools: their features, and how a map's values tell category, instance, crowd and void.

DeepLab2 (`data/build_*_data.py`, names in `common.py`, sets in `data/dataset.py`; `g3doc/setup/your_own_dataset.md`):
`image/encoded`, `image/filename` without suffix, `image/height`, `image/width`, `image/segmentation/class/encoded` and
`image/segmentation/class/format`. The format is `raw` for panoptic truth: an int32 array, little endian, of
label * divisor + instance. Labels of Cityscapes are its train ids 0..18, void is 255 and the divisor 1000; labels of
COCO are 1..133 in the order of its ids, void is 0 and the divisor 256. Instances count from 1; a thing with 0 is a
crowd, where the builder ran with `--treat_crowd_as_ignore=false`, and else crowds are void.

TensorFlow Model Garden (`official/vision/data/create_coco_tf_record.py` with `--include_panoptic_masks`, read by
`official/projects/panoptic/dataloaders`): `image/encoded`, `image/filename`, `image/source_id`, `image/height`,
`image/width`, `image/panoptic/category_mask` and `image/panoptic/instance_mask`, grey PNGs of COCO's own category ids,
0 for void, and of instances, 0 for stuff, in which all segments of the image count on. Crowds have an instance like
others and cannot be told from them; with `--panoptic_skip_crowd` they are void.

Source: https://github.com/google-research/deeplab2 and https://github.com/tensorflow/models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from tfpanoptic.data.records.scan import bytes_of, integers_of, text_of
from tfpanoptic.data.storage import GREY_PNG, Content, Storage, TruthFormat
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import extents

# Segment ids are the tools' values + 1, for 0 may be a value of theirs that is not void, as Cityscapes' road is.
FIRST = 1
# A pair of PNGs of up to 16 bits as one value: category * PAIR + instance.
PAIR = 1 << 16
_DEEPLAB2_TRUTH, _DEEPLAB2_FORMAT = "image/segmentation/class/encoded", "image/segmentation/class/format"
_MASKS = ("image/panoptic/category_mask", "image/panoptic/instance_mask")


def _read_raw(parts: Sequence[Content], size: tuple[int, int], origin: str) -> np.ndarray:
    part = parts[0]
    content = part.getvalue() if isinstance(part, BytesIO) else part.read_bytes()
    if len(content) != 4 * size[0] * size[1]:
        pixels = f"{size[0]} x {size[1]} pixels"
        raise InputError(f"{origin}: the map has {len(content)} bytes; expected 4 for each of {pixels}")
    return np.frombuffer(content, "<i4").astype(np.int32).reshape(size) + FIRST


def _decode_raw(parts: Sequence[Any], size: Any) -> Any:
    import tensorflow as tf

    return tf.reshape(tf.io.decode_raw(parts[0], tf.int32, little_endian=True), size) + FIRST


def _read_pair(parts: Sequence[Content], size: tuple[int, int], origin: str) -> np.ndarray:
    category, instance = (GREY_PNG.read([part], size, origin) for part in parts)
    if category.shape != instance.shape:
        raise InputError(f"{origin}: category and instance mask differ in size, {category.shape} and {instance.shape}")
    return category * PAIR + instance + FIRST


def _decode_pair(parts: Sequence[Any], size: Any) -> Any:
    category, instance = (GREY_PNG.decode([part], size) for part in parts)
    return category * PAIR + instance + FIRST


RAW_INT32 = TruthFormat("array of int32", _read_raw, _decode_raw, png=False)
TWO_PNGS = TruthFormat("grey PNGs of categories and of instances", _read_pair, _decode_pair, png=False)


class Tool(NamedTuple):
    """One tool's records.

    Attributes:
        storage: where photo and truth are.
        describe: a `tf.train.Example` -> `name`, `id`, `height`, `width`; `ids`, values + `FIRST`, and `areas`.
        divisor: by which a value is divided to give its label; None where the set decides.
        crowds: whether a thing without an instance is a crowd.
    """

    storage: Storage
    describe: Callable[[Any], dict[str, Any]]
    divisor: int | None
    crowds: bool


def _describe_deeplab2(example: Any) -> dict[str, Any]:
    kind = text_of(example, _DEEPLAB2_FORMAT) if _DEEPLAB2_FORMAT in example.features.feature else "raw"
    truth = bytes_of(example, _DEEPLAB2_TRUTH, "; images of a test part have no truth")
    if kind != "raw":
        raise InputError(f"{_DEEPLAB2_FORMAT} is {kind!r}, semantic truth without instances; expected 'raw'")
    name = text_of(example, "image/filename")
    return _described(example, name, name, _read_raw([BytesIO(truth)], _size(example), name))


def _describe_model_garden(example: Any) -> dict[str, Any]:
    hint = "; it is there with --include_panoptic_masks"
    parts = [BytesIO(bytes_of(example, feature, hint)) for feature in _MASKS]
    name, source_id = (text_of(example, f"image/{key}") for key in ("filename", "source_id"))
    image_id = int(source_id) if source_id.isdecimal() else source_id  # written from a JSON's integer
    return _described(example, name, image_id, _read_pair(parts, _size(example), name))


def _size(example: Any) -> tuple[int, int]:
    height, width = (integers_of(example, f"image/{side}", 1)[0] for side in ("height", "width"))
    if min(height, width) < 1:
        raise InputError(f"the image is {height} x {width}; expected 1 pixel or more a side")
    return height, width


def _described(example: Any, name: str, image_id: int | str, ids: np.ndarray) -> dict[str, Any]:
    height, width = size = _size(example)
    if ids.shape != size:
        raise InputError(f"{name}: the truth is {ids.shape[0]} x {ids.shape[1]}, the image {height} x {width}")
    if ids.min() < FIRST:  # the largest integer + 1 is below it, too
        raise InputError(f"{name}: the truth holds a value that is negative or too large")
    values, areas, _ = extents(ids)
    found = {"ids": values.tolist(), "areas": areas.tolist()}
    return {"name": name, "id": image_id, "height": height, "width": width, **found}


TOOLS = {
    "deeplab2": Tool(Storage(RAW_INT32, "image/encoded", (_DEEPLAB2_TRUTH,)), _describe_deeplab2, None, True),
    "model_garden": Tool(Storage(TWO_PNGS, "image/encoded", _MASKS), _describe_model_garden, PAIR, False),
}
