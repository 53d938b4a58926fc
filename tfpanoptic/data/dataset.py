"""Dataset and ImageRecord: images with panoptic truth, and how one is read from its files.

Every reader returns a `Dataset`; the pipeline and the evaluation know nothing else of where data comes from.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.segment_png import load_pixels, open_image, read_segment_ids, require_same_ids
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap

# Pillow's names for 16-bit grey; the other deep modes ("I", "F") have no fixed range.
DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
# Pillow's names for the formats of `tf.io.decode_image`; MPO is the JPEG of some cameras.
DECODED_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "GIF")
EXIF_ORIENTATION = 0x0112
# Pillow's transposition for each EXIF orientation. Source: Exif 2.32, tag 274.
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image with truth, not yet read.

    Attributes:
        image_path: the photograph.
        panoptic_path: the PNG of segment ids, id = R + 256 G + 65536 B, 0 for void.
        file_name: the image's name in the dataset's own files.
        image_id: the dataset's own id.
        height: in pixels, upright (after the EXIF orientation).
        width: in pixels.
        segments: structured array `[N]` of dtype `SEGMENT`, with our category ids and the file's areas.
        extra: what else the dataset says of the image.
    """

    image_path: Path
    panoptic_path: Path
    file_name: str
    image_id: int | str
    height: int
    width: int
    segments: np.ndarray
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a dataset.

    Attributes:
        name: key in `DATASETS`.
        split: "train" or "val", or what the dataset calls it.
        categories: what the records' category ids mean.
        records: the images, in the dataset's order.
        truth_only: names of the categories that the files have and a table given for matching lacks.
        table_only: names of the categories that the given table has and the files lack.
    """

    name: str
    split: str
    categories: CategoryTable
    records: tuple[ImageRecord, ...]
    truth_only: tuple[str, ...] = ()
    table_only: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.records)

    def void_images(self) -> list[str]:
        """How many images have no segment at all, for people; no line where there is none."""
        count = sum(not len(record.segments) for record in self.records)
        return [f"{self.split}: {count} of {len(self)} images are all void, without a segment"] if count else []

    def unmatched(self) -> list[str]:
        """What did not match the table given for matching and how it counts, for people; at most two lines."""
        told = (
            (self.truth_only, "in the truth but not in the model, counted as missed"),
            (self.table_only, "in the model but not in the truth, left out"),
        )
        return [f"categories {what}: {', '.join(names)}" for names, what in told if names]


def read_image(path: str | Path) -> np.ndarray:
    """The upright image of a file, uint8 `[H, W, 3]`, RGB.

    Grey images get three equal channels, transparency is dropped, of 16-bit values the high byte is kept (as
    TensorFlow's decoder does) and the EXIF orientation is applied.

    Raises:
        InputError: no such file, not an image, or a pixel format without a fixed range.
    """
    with open_image(Path(path)) as image:
        return image_pixels(image, str(path))


def read_record_image(record: ImageRecord) -> np.ndarray:
    """The upright image of a record, uint8 `[H, W, 3]`, RGB.

    Raises:
        InputError: as `read_image`, or the image is of another size than the dataset says.
    """
    pixels = read_image(record.image_path)
    require_size(record.image_path, pixels.shape[:2], record)
    return pixels


def image_pixels(image: Image.Image, origin: str) -> np.ndarray:
    """The upright pixels of an opened image, uint8 `[H, W, 3]`, RGB, by the rules of `read_image`.

    Args:
        image: opened by Pillow.
        origin: the file's name, for messages.

    Raises:
        InputError: damaged, or a pixel format without a fixed range.
    """
    orientation = exif_orientation(image)
    pixels = _decoded(image, origin)
    if orientation in TRANSPOSITIONS:
        pixels = pixels.transpose(TRANSPOSITIONS[orientation])
    return np.asarray(pixels)


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8 of an opened image; 1, upright, where it has none that can be read."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all pixels to look behind them
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    except (SyntaxError, ValueError, struct.error):
        return 1
    return orientation if orientation in TRANSPOSITIONS else 1


def require_segments(dataset: Dataset) -> None:
    """Checks that there is something to learn; the annotations tell, no image is read.

    Raises:
        InputError: no image has a segment.
    """
    if not any(len(record.segments) for record in dataset.records):
        raise InputError(
            f"{dataset.name} {dataset.split}: all void, none of its {len(dataset)} images has a segment "
            "(segments_info is empty); expected labelled images"
        )


def require_size(path: Path, size: tuple[int, int], record: ImageRecord) -> None:
    """Checks the (height, width) of a file against the record.

    Raises:
        InputError: they differ.
    """
    if size != (record.height, record.width):
        raise InputError(
            f"{path}: the file is {size[0]} x {size[1]} (height x width), "
            f"the annotation of {record.file_name} says {record.height} x {record.width}"
        )


def read_segment_map(record: ImageRecord) -> SegmentMap:
    """The truth of one image, as its files hold it.

    Raises:
        InputError: the PNG is missing, unreadable, not RGB, of another size than the annotation says, or holds
            other segment ids than the annotation.
    """
    path = record.panoptic_path
    ids = read_segment_ids(path)
    require_size(path, ids.shape, record)
    require_same_ids(path, np.unique(ids), record.segments["id"], f"the annotation of {record.file_name}")
    return SegmentMap(ids, record.segments)


def _decoded(image: Image.Image, origin: str) -> Image.Image:
    """The pixels as Pillow mode RGB."""
    load_pixels(image, origin)
    if image.mode in DEEP_GREY:
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(f"{origin}: expected 8 or 16 bits a channel, found Pillow mode {image.mode}; rescale it first")
    return image.convert("RGB")


def read_orientation(record: ImageRecord) -> int:
    """EXIF orientation 1..8 of a record's image, from the headers of its files alone.

    Raises:
        InputError: the image or the PNG is missing, of a format that TensorFlow does not decode, or of another size
            than the annotation says.
    """
    with open_image(record.image_path) as image:
        orientation = exif_orientation(image)
        _require_format(record.image_path, image, DECODED_FORMATS)
        width, height = image.size if orientation < 5 else image.size[::-1]  # 5..8 swap the sides
        require_size(record.image_path, (height, width), record)
    with open_image(record.panoptic_path) as panoptic:
        _require_format(record.panoptic_path, panoptic, ("PNG",))
        require_size(record.panoptic_path, panoptic.size[::-1], record)
    return orientation


def _require_format(path: Path, image: Image.Image, formats: tuple[str, ...]) -> None:
    if image.format not in formats:
        raise InputError(f"{path}: expected {' or '.join(formats)}, found {image.format}")


def check_records(dataset: Dataset) -> None:
    """Reads every file of the dataset, to name the one that TensorFlow's decoders would not name.

    Raises:
        InputError: for the first image or PNG that cannot be read, that TensorFlow does not decode, or that disagrees
            with the annotation.
    """
    for record in dataset.records:
        read_orientation(record)
        read_record_image(record)
        read_segment_map(record)
