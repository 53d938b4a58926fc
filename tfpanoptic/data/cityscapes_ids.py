"""Cityscapes: its evaluated categories, and segment maps from its PNGs of instance ids.

Source: the label table of the Cityscapes scripts (`helpers/labels.py`), and `preparation/createPanopticImgs.py` for
what a segment is: a thing numbered from `label * 1000`, and, below 1000, stuff or a group of things, which is a crowd.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.segment_png import read_grey_values
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows

# label id: (name, thing, colour) of the 19 categories that the benchmark evaluates.
LABELS = {
    7: ("road", False, (128, 64, 128)),
    8: ("sidewalk", False, (244, 35, 232)),
    11: ("building", False, (70, 70, 70)),
    12: ("wall", False, (102, 102, 156)),
    13: ("fence", False, (190, 153, 153)),
    17: ("pole", False, (153, 153, 153)),
    19: ("traffic light", False, (250, 170, 30)),
    20: ("traffic sign", False, (220, 220, 0)),
    21: ("vegetation", False, (107, 142, 35)),
    22: ("terrain", False, (152, 251, 152)),
    23: ("sky", False, (70, 130, 180)),
    24: ("person", True, (220, 20, 60)),
    25: ("rider", True, (255, 0, 0)),
    26: ("car", True, (0, 0, 142)),
    27: ("truck", True, (0, 0, 70)),
    28: ("bus", True, (0, 60, 100)),
    31: ("train", True, (0, 80, 100)),
    32: ("motorcycle", True, (0, 0, 230)),
    33: ("bicycle", True, (119, 11, 32)),
}
# Labels that count as void: unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, parking,
# rail track, guard rail, bridge, tunnel, polegroup, caravan, trailer.
IGNORED = frozenset((0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30))
# Ids from here on are label * INSTANCES + number.
INSTANCES = 1000


def cityscapes_categories() -> CategoryTable:
    """The 19 evaluated categories; their source ids are the label ids."""
    return CategoryTable(
        tuple(Category(i, *LABELS[label], source_id=label) for i, label in enumerate(sorted(LABELS), start=1))
    )


def read_instance_ids(path: Path, truth: bool) -> SegmentMap:
    """The segment map of a PNG of instance ids, in the categories of `cityscapes_categories`.

    Segment ids are the PNG's values; ignored labels become void.

    Args:
        path: 8 or 16 bits, grey, `gtFine_instanceIds.png` or a prediction in its encoding.
        truth: things without a number are crowds; in a prediction they are one segment.

    Raises:
        InputError: the file is missing or damaged, another kind of image, or has a value of no label.
    """
    return segments_of_values(path, read_grey_values(path), truth)


def segments_of_values(path: Path, values: np.ndarray, truth: bool) -> SegmentMap:
    """As `read_instance_ids`, of the file's values, int32 `[H, W]`."""
    numbers, areas, _ = extents(values)
    table = value_rows(path, numbers, areas, truth)
    return SegmentMap(relabel(values, table["id"], table["id"]), table)


def value_rows(path: Path, numbers: np.ndarray, areas: np.ndarray, truth: bool) -> np.ndarray:
    """The segments of a PNG of instance ids, dtype `SEGMENT`, from the values that it holds.

    Args:
        path: for messages.
        numbers: integers `[N]`, its values, each once.
        areas: `[N]`, pixels of each.
        truth: as in `read_instance_ids`.

    Raises:
        InputError: a value is of no label.
    """
    labels = labels_of(numbers)
    known = np.isin(labels, list(LABELS))
    strange = numbers[~known & ~np.isin(labels, list(IGNORED))]
    if strange.size:
        raise InputError(f"{path}: value {strange[0]} is no Cityscapes label; expected a label id or label * 1000 + k")
    categories = cityscapes_categories().by_source_id()
    rows = [categories[label] for label in labels[known].tolist()]
    crowds = [truth and c.isthing and i < INSTANCES for c, i in zip(rows, numbers[known].tolist(), strict=True)]
    return segment_rows(numbers[known], [c.id for c in rows], crowds, areas[known])


def labels_of(values: np.ndarray) -> np.ndarray:
    """The labels of values, label or label * 1000 + k."""
    return np.where(values < INSTANCES, values, values // INSTANCES)


def with_ignored_instances(truth: SegmentMap, path: Path) -> SegmentMap:
    """The truth of a PNG of instance ids as the benchmark of instances sees it.

    Single instances of ignored labels, as caravans, keep their ids, without a row: they are no void there.

    Raises:
        InputError: as `read_instance_ids`.
    """
    values = read_grey_values(path)
    return SegmentMap(np.where(values >= INSTANCES, values, truth.ids), truth.segments)


def image_key(file_name: str) -> str | None:
    """`city_sequence_frame` that a file's name starts with, None where it does not."""
    parts = file_name.split("_")
    return "_".join(parts[:3]) if len(parts) > 3 and parts[1].isdigit() and parts[2].isdigit() else None
