"""Detectron2's panoptic output for an image, the pair `(panoptic_seg, segments_info)`.

`panoptic_seg` `[H, W]` holds segment ids; what no entry lists is void. An entry has `id`, `isthing` and `category_id`,
things have `score`, stuff has `area`. `category_id` is a place in `thing_classes` or `stuff_classes` of the data set's
metadata. Where `segments_info` is None, as Detectron2's Panoptic-DeepLab has it, a pixel is
`category_id * label_divisor + instance`, and -1 is void.

Source: Detectron2, `docs/tutorials/models.md` ("Model Output Format"), `modeling/meta_arch/panoptic_fpn.py`,
`projects/Panoptic-DeepLab/panoptic_deeplab/panoptic_seg.py` and `evaluation/panoptic_evaluation.py`.
"""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from tfpanoptic.adapters.entries import (
    Segment,
    category_at,
    crowd_of,
    entry_of,
    ids_of,
    listed_ids,
    names_of,
    number_of,
    score_of,
    segment_map_of,
)
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import MAX_INT32, flag, integer
from tfpanoptic.segment_map import SegmentMap, extents

SEGMENT_KEYS = frozenset(("id", "isthing", "category_id"))
UNLISTED_VOID = -1


def to_detectron2(
    segment_map: SegmentMap, categories: CategoryTable, metadata: Any = None
) -> tuple[np.ndarray, list[dict]]:
    """The pair for a segment map: int32 `[H, W]`, 0 where void, and the list of segments.

    Stuff has its score, too, and things their area. A crowd says `iscrowd` 1 beside.

    Args:
        segment_map: the segments.
        categories: what they can be.
        metadata: has `thing_classes` and `stuff_classes`, by which categories are found; without it `category_id` is
            the place of the category in the table, counted from 0, for things and stuff alike.

    Raises:
        InputError: a category of a segment is not in its list of the metadata, or twice.
    """
    every = dict(enumerate(c.name for c in categories))
    names = dict.fromkeys((True, False), (every, "categories")) if metadata is None else _names(metadata)
    segments = []
    for row in segment_map.segments:
        category = categories[int(row["category"])]
        segment = {
            "id": int(row["id"]),
            "isthing": category.isthing,
            "category_id": number_of(category, *names[category.isthing]),
            "score": float(row["score"]),
            "area": int(row["area"]),
        }
        segments.append({**segment, "iscrowd": 1} if row["iscrowd"] else segment)
    return listed_ids(segment_map), segments


def from_detectron2(panoptic_seg: Any, categories: CategoryTable, metadata: Any) -> SegmentMap:
    """The segment map of the pair of one image.

    Where an id is 0, all of them become one more, for 0 is void here. Segments without a pixel are left out; areas are
    counted.

    Args:
        panoptic_seg: the pair, `outputs["panoptic_seg"]`; its first part is an array or a tensor.
        categories: what the segments can be; classes are matched to them by name.
        metadata: has `thing_classes` and `stuff_classes`, as `MetadataCatalog.get(name)`. Where the list is None,
            `label_divisor` and `thing_dataset_id_to_contiguous_id` as well.

    Raises:
        InputError: another structure, a class that is no category, or an id of two segments.
    """
    if not isinstance(panoptic_seg, tuple | list) or len(panoptic_seg) != 2:
        raise InputError(f"expected a pair (panoptic_seg, segments_info), found {reprlib.repr(panoptic_seg)}")
    ids, listed = ids_of(panoptic_seg[0], "panoptic_seg"), panoptic_seg[1]
    if listed is None:
        listed = _listed_by_divisor(ids, metadata)
    if not isinstance(listed, list):
        raise InputError(f"segments_info must be a list or None, found {type(listed).__name__}")
    names = _names(metadata)
    segments: dict[int, Segment] = {}
    for place, entry in enumerate(listed):
        try:
            entry = entry_of(entry, SEGMENT_KEYS)
            number, isthing = integer(entry, "id", 0, MAX_INT32 - 1), flag(entry, "isthing")
            place_in_names = integer(entry, "category_id", 0, MAX_INT32)
            category = category_at("category_id", place_in_names, *names[isthing], categories)
            if category.isthing != isthing:
                raise InputError(f"isthing is {isthing}, but {category.name} is {'stuff' if isthing else 'a thing'}")
            if number in segments:
                raise InputError(f"id {number} is of two segments, expected one")
            segments[number] = Segment(number, category.id, score_of(entry), crowd_of(entry, category))
        except InputError as error:
            raise InputError(f"segments_info[{place}]: {error}") from None
    return segment_map_of(ids, list(segments.values()))


def _names(metadata: Any) -> dict[bool, tuple[dict[int, str], str]]:
    """The names of things (True) and of stuff (False), with where they stand."""
    return {
        isthing: (names_of(_attribute(metadata, key), f"metadata.{key}"), f"metadata.{key}")
        for isthing, key in ((True, "thing_classes"), (False, "stuff_classes"))
    }


def _attribute(metadata: Any, key: str) -> Any:
    value = getattr(metadata, key, None)
    if value is None:
        raise InputError(f"metadata has no {key}; expected the metadata of the model's data set")
    return value


def _listed_by_divisor(ids: np.ndarray, metadata: Any) -> list[dict]:
    """The entries of a map without a list, whose pixels are category_id * label_divisor + instance."""
    divisor = _attribute(metadata, "label_divisor")
    things = set(_attribute(metadata, "thing_dataset_id_to_contiguous_id").values())
    labels = np.setdiff1d(extents(ids).ids, UNLISTED_VOID)
    if labels.size and labels[0] < 0:
        raise InputError(f"panoptic_seg: expected values of at least -1, which is void, found {labels[0]}")
    return [
        {"id": label, "isthing": label // divisor in things, "category_id": label // divisor}
        for label in labels.tolist()
    ]
