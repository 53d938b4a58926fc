"""Label maps: images of category ids and of instance numbers, without any JSON of segments.

A folder of them has one of two forms:

- two images a photo: `semantic/NAME` holds category ids, `instance/NAME` instance numbers;
- one image a photo, `NAME`: of two channels (Pillow mode LA) category id and instance number; of three or four, the
  category id is red and the instance number green + 256 blue; one of a single channel holds category ids alone.

Category ids are those of the list of categories. 0, 255 and, in 16 bits, 65535 are void where no category has that id;
another value of no category is an error. Pixels of one thing category and one instance number are a segment. Stuff is
one, whatever its instance numbers are. With connected components, instance numbers are not read: each part of a thing
category whose pixels touch, at a side or a corner, is a segment. The indices of palette images are their values, not
their colours.

Source: the two-channel format of the COCO panoptic API (`converters/2channels2panoptic_coco_format.py`: red is the
category, green the instance).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.connected_components import connected_components
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.photo.image_file import load_pixels, open_image
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows

SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
# Pillow modes of one channel of whole numbers, and of several channels of 8 bits.
ONE_CHANNEL = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")
CHANNELS = ("LA", "RGB", "RGBA")
VOID_VALUES = (0, 255, 65535)
# More than any instance number of the formats above, which have 24 bits at most or, in mode I, 31.
INSTANCES = 1 << 32


@dataclass(frozen=True, eq=False)
class LabelMapFile:
    """The label maps of one side of an image, not yet read.

    Attributes:
        path: of the category ids.
        instance_path: of the instance numbers; None where they are in the same image, or not read.
        categories: their source ids are the category ids.
        components: whether instances are connected components.
        crowd: the instance number of a thing that makes it a crowd; None for none.
        void: values that are void where no category has them.
    """

    path: Path
    instance_path: Path | None
    categories: CategoryTable
    components: bool
    crowd: int | None
    void: tuple[int, ...] = VOID_VALUES

    def read(self) -> SegmentMap:
        """The segment map; areas are pixels.

        Raises:
            InputError: an image cannot be read, has another form or size than it should, or a value of no category.
        """
        channels = channels_of(self.path)
        category = self.category(channels[0])
        if self.components:
            instance = connected_components(category) + 1
        elif self.instance_path is not None:
            instance = instance_numbers(self.instance_path)
            if instance.shape != category.shape:
                sizes = [" x ".join(map(str, side.shape)) for side in (instance, category)]
                raise InputError(f"{self.instance_path}: {sizes[0]} (height x width), {self.path} is {sizes[1]}")
        elif len(channels) == 2:
            instance = channels[1]
        else:
            raise InputError(
                f"{self.path}: has one channel, category ids; expected two channels, or folders semantic and instance; "
                "--components takes connected components for instances"
            )
        return numbered_segments(category, instance, self.categories, self.crowd)

    def category(self, values: np.ndarray) -> np.ndarray:
        """Our category id of each pixel, int32 `[H, W]`, 0 where void."""
        ids = {c.source_id: c.id for c in self.categories}
        strange = [value for value in np.unique(values).tolist() if value not in ids and value not in self.void]
        if strange:
            raise InputError(
                f"{self.path}: value {strange[0]} is of no category; expected one of {sorted(ids)[:20]}, or one "
                f"of {list(self.void)} for void"
            )
        return relabel(values, list(ids), list(ids.values()))


def numbered_segments(
    category: np.ndarray, instance: np.ndarray, categories: CategoryTable, crowd: int | None
) -> SegmentMap:
    """The segment map of our category ids and instance numbers, integers `[H, W]` each; ids count from 1.

    Args:
        category: 0 where void.
        instance: of things; those of stuff are not looked at.
        categories: what the ids mean.
        crowd: the instance number of a thing that makes it a crowd; None for none.
    """
    isthing = categories.isthing
    key = category.astype(np.int64) * INSTANCES + np.where(isthing[category], instance, 0)
    keys, areas, _ = extents(key)
    keys, areas = keys[keys >= INSTANCES], areas[keys >= INSTANCES]
    own, numbers = keys // INSTANCES, keys % INSTANCES
    crowds = isthing[own] & (numbers == (-1 if crowd is None else crowd))
    ids = np.arange(1, len(keys) + 1)
    return SegmentMap(relabel(key, keys, ids), segment_rows(ids, own, crowds, areas))


def label_map_files(folder: Path, problems: Problems) -> dict[str, Path]:
    """The images of a folder by name without ending; two of one name go to `problems`.

    Raises:
        InputError: the folder cannot be read, or has none.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise InputError(f"{folder}: cannot list this folder ({error.strerror}); expected label maps") from None
    if not paths:
        raise InputError(f"{folder}: no label map in this folder; expected images {', '.join(SUFFIXES)}")
    images: dict[str, Path] = {}
    for path in paths:
        if path.stem in images:
            problems.add(f"{path}: a second image of this name, after {images[path.stem].name}")
        images.setdefault(path.stem, path)
    return images


def channels_of(path: Path) -> tuple[np.ndarray, ...]:
    """Category ids, and instance numbers if the image has them, int64 `[H, W]` each."""
    values = label_pixels(path)
    if values.ndim == 2:
        return (values,)
    return values[..., 0], values[..., 1] + (256 * values[..., 2] if values.shape[-1] > 2 else 0)


def instance_numbers(path: Path) -> np.ndarray:
    """Instance numbers, int64 `[H, W]`; of colours the id of a COCO panoptic PNG, red + 256 green + 65536 blue."""
    values = label_pixels(path)
    if values.ndim == 2:
        return values
    if values.shape[-1] == 2:
        raise InputError(f"{path}: expected instance numbers in one channel or three, found two channels")
    return values[..., :3] @ np.array([1, 256, 65536])


def label_pixels(path: Path) -> np.ndarray:
    """What the image holds, int64, `[H, W]` or `[H, W, channels]`."""
    with open_image(path) as image:
        if image.mode not in (*ONE_CHANNEL, *CHANNELS):
            raise InputError(f"{path}: expected a label map of whole numbers, found Pillow mode {image.mode}")
        load_pixels(image, str(path))
        values = np.asarray(image).astype(np.int64)
    if values.min(initial=0) < 0:
        raise InputError(f"{path}: has the value {values.min()}; expected none below 0")
    return values
