"""Dataset and ImageRecord: images with panoptic truth, and how one is read from its files.

Every reader returns a `Dataset`; the pipeline and the evaluation know nothing else of where data comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.segment_png import require_same_ids
from tfpanoptic.data.shards import read_features
from tfpanoptic.data.storage import COCO_FILES, Content, Storage
from tfpanoptic.errors import InputError
from tfpanoptic.photo.image_file import open_image
from tfpanoptic.photo.pixels import exif_orientation, image_pixels, upright_size
from tfpanoptic.segment_map import SegmentMap, panoptic_labels, relabel, rows_of
from tfpanoptic.settings.sizes import DeepGrey

# Formats and modes, by Pillow's names, that TensorFlow decodes to the same pixels; MPO is the JPEG of some cameras. It
# takes the palette of a BMP for grey values and what is transparent in a GIF for black.
DECODED_ALIKE: dict[str, tuple[str, ...]] = {
    "JPEG": ("L", "RGB"),
    "MPO": ("L", "RGB"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
}
# In place of an orientation: Pillow has to decode the image.
BY_PILLOW = 0


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image with truth, not yet read.

    Attributes:
        image_path: the photograph, or the shard that holds it.
        panoptic_path: the map of segment ids, 0 for void, or the shard that holds it.
        file_name: the image's name in the dataset's own files.
        image_id: the dataset's own id.
        height: in pixels, upright (after the EXIF orientation).
        width: in pixels.
        segments: structured array `[N]` of dtype `SEGMENT`, with our category ids and the file's areas.
        extra: what else the dataset says of the image.
        id_map: what becomes of the ids of the file, int32 `[M, 2]`: (one of the file, that of its segment), 0 for one
            that is void. None where they are the segments' own.
        storage: how the bytes are stored.
        offset: where the record begins in the shard, in bytes.
    """

    image_path: Path
    panoptic_path: Path
    file_name: str
    image_id: int | str
    height: int
    width: int
    segments: np.ndarray
    extra: Mapping[str, Any] = field(default_factory=dict)
    id_map: np.ndarray | None = None
    storage: Storage = COCO_FILES
    offset: int = 0

    @property
    def image_name(self) -> str:
        """What messages call the photo."""
        return self._name(self.image_path)

    @property
    def panoptic_name(self) -> str:
        """What messages call the truth."""
        return self._name(self.panoptic_path)

    def _name(self, path: Path) -> str:
        return str(path) if self.storage.image_feature is None else f"{path}, image {self.file_name}"


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
        exact_areas: whether a segment's area is the number of its pixels; an official set may say otherwise.
    """

    name: str
    split: str
    categories: CategoryTable
    records: tuple[ImageRecord, ...]
    truth_only: tuple[str, ...] = ()
    table_only: tuple[str, ...] = ()
    exact_areas: bool = True

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


def contents(record: ImageRecord) -> list[Content]:
    """The photo and the parts of the truth: their paths, or their bytes out of the shard, which is read once.

    Raises:
        InputError: there is no such record.
    """
    feature = record.storage.image_feature
    if feature is None:
        return [record.image_path, record.panoptic_path]
    names = (feature, *record.storage.truth_features)
    return [BytesIO(content) for content in read_features(record.image_path, record.offset, names)]


def image_content(record: ImageRecord) -> Content:
    """The photo, as `contents` has it."""
    return contents(record)[0]


def truth_contents(record: ImageRecord) -> list[Content]:
    """The parts of the truth, as `contents` has them."""
    return contents(record)[1:]


def read_record_image(record: ImageRecord, deep_grey: DeepGrey = "high_byte") -> np.ndarray:
    """The upright image of a record, uint8 `[H, W, 3]`, RGB, as `read_image` gives it.

    Raises:
        InputError: as `read_image`, or the image is of another size than the dataset says.
    """
    with open_image(image_content(record), record.image_name) as image:
        pixels = image_pixels(image, record.image_name, deep_grey)
    require_size(record.image_name, pixels.shape[:2], record)
    return pixels


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


def require_size(path: Path | str, size: tuple[int, int], record: ImageRecord) -> None:
    """Checks the (height, width) of a file against the record.

    Raises:
        InputError: they differ.
    """
    if size != (record.height, record.width):
        swapped = size == (record.width, record.height)
        hint = "; the sides are swapped: does an EXIF orientation turn the photo?" if swapped else ""
        raise InputError(
            f"{path}: the file is {size[0]} x {size[1]} (height x width), "
            f"the annotation of {record.file_name} says {record.height} x {record.width}{hint}"
        )


def read_segment_map(record: ImageRecord) -> SegmentMap:
    """The truth of one image, as its files hold it.

    Raises:
        InputError: the map is missing, unreadable, of another kind, of another size than the annotation says, or holds
            other segment ids than the annotation.
    """
    name = record.panoptic_name
    ids = record.storage.truth.read(truth_contents(record), (record.height, record.width), name)
    require_size(name, ids.shape, record)
    listed = record.segments["id"] if record.id_map is None else record.id_map[:, 0]
    where = record.panoptic_path if record.storage.image_feature is None else name
    require_same_ids(where, np.unique(ids), listed[listed != 0], f"the annotation of {record.file_name}")
    if record.id_map is None:
        return SegmentMap(ids, record.segments)
    ids = relabel(ids, *record.id_map.T)
    return SegmentMap(ids, _with_void_counted(ids, record))


def _with_void_counted(ids: np.ndarray, record: ImageRecord) -> np.ndarray:
    """The record's segments; of one that takes in void, which no annotation knows the area of, pixels are counted."""
    void = record.id_map[record.id_map[:, 0] == 0, 1] if record.id_map is not None else ()
    own = np.isin(record.segments["id"], void)
    if not own.any():
        return record.segments
    segments = record.segments.copy()
    segments["area"][own] = np.count_nonzero(ids == segments["id"][own])
    return segments[~own | (segments["area"] > 0)]


def label_table(record: ImageRecord, categories: CategoryTable) -> tuple[np.ndarray, np.ndarray]:
    """The ids that a record's map of segment ids has and their panoptic-map labels, int32 `[M]`, in ascending order.

    Raises:
        InputError: more instances of a category than a panoptic map can hold.
    """
    try:
        labels = panoptic_labels(record.segments, categories)
    except InputError as error:
        raise InputError(f"{record.panoptic_name}: {error}") from None
    ids = record.segments["id"]
    if record.id_map is not None:
        ids, segment_ids = record.id_map.T
        labels = np.append(labels, 0)[rows_of(record.segments["id"], segment_ids)].astype(np.int32)  # row -1: void
    order = np.argsort(ids)
    return ids[order], labels[order]


def read_orientation(record: ImageRecord) -> int:
    """EXIF orientation 1..8 of a record's image, `BY_PILLOW` where TensorFlow would decode other pixels than Pillow.

    The headers of its files alone are read.

    Raises:
        InputError: the image or the PNG is missing, no image, or of another size than the annotation says.
    """
    photo, *truth = contents(record)
    with open_image(photo, record.image_name) as image:
        orientation = exif_orientation(image)
        require_size(record.image_name, upright_size(image), record)
        alike = image.mode in DECODED_ALIKE.get(str(image.format), ())
    if record.storage.truth.png:
        name = record.panoptic_name
        with open_image(truth[0], name) as panoptic:
            if panoptic.format != "PNG":
                raise InputError(f"{name}: expected PNG, found {panoptic.format}")
            require_size(name, panoptic.size[::-1], record)
    return orientation if alike else BY_PILLOW


def check_records(dataset: Dataset, deep_grey: DeepGrey = "high_byte") -> None:
    """Reads every file of the dataset, to name the one that TensorFlow's decoders would not name.

    Raises:
        InputError: for the first image or PNG that cannot be read or that disagrees with the annotation.
    """
    for record in dataset.records:
        read_orientation(record)
        read_record_image(record, deep_grey)
        read_segment_map(record)
