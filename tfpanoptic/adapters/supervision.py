"""`supervision.Detections` of Roboflow's package: boxes, masks, classes and scores of an image.

Source: supervision 0.31, `detection/core.py` (`Detections`) and `detection/utils/converters.py` (`mask_to_xyxy`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfpanoptic.adapters.entries import (
    Names,
    Segment,
    array_of,
    category_at,
    category_named,
    crowd_of,
    names_of,
    number_of,
    painted,
    score_of,
)
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import MAX_INT32, integer
from tfpanoptic.segment_map import SegmentMap, extents


def to_supervision(segment_map: SegmentMap, categories: CategoryTable, id2label: Names | None = None) -> Any:
    """The `supervision.Detections` of a segment map, one for each segment, stuff among them.

    `xyxy` float32 `[N, 4]` ends one past the last pixel (`mask_to_xyxy`'s "exclusive"), `mask` is bool `[N, H, W]`:
    N bytes a pixel. `data` has `class_name`, `segment_id`, `isthing` and `iscrowd` of each.

    Args:
        segment_map: the segments.
        categories: what they can be.
        id2label: the name of each class id, by which categories are found; without it `class_id` is the place of the
            category in the table, counted from 0.

    Raises:
        InputError: supervision is not installed, or a category of a segment is not in `id2label`, or twice.
    """
    try:
        from supervision import Detections
    except ImportError:
        raise InputError("Detections need supervision, which is not installed: pip install supervision") from None
    rows = segment_map.segments
    found = [categories[number] for number in rows["category"].tolist()]
    names = names_of([c.name for c in categories] if id2label is None else id2label, "id2label")
    return Detections(
        xyxy=extents(segment_map.ids).of(rows["id"]).boxes[:, [1, 0, 3, 2]].astype(np.float32),
        mask=segment_map.ids == rows["id"][:, None, None],
        class_id=np.array([number_of(category, names, "id2label") for category in found], int),
        confidence=rows["score"].copy(),
        data={
            "class_name": np.array([category.name for category in found], str),
            "segment_id": rows["id"].copy(),
            "isthing": np.array([category.isthing for category in found], bool),
            "iscrowd": rows["iscrowd"].copy(),
        },
    )


def from_supervision(detections: Any, categories: CategoryTable, id2label: Names | None = None) -> SegmentMap:
    """The segment map of detections with masks.

    Masks may overlap: a pixel of several goes to the one of the best score, of equal ones to the first; to a crowd
    only where no other is. Detections that keep no pixel are left out; areas are counted, `xyxy` and `tracker_id` are
    not read.

    Args:
        detections: with `mask` and `class_id`. `data["segment_id"]` gives ids, which are 1..N otherwise.
        categories: what the segments can be; classes are matched to them by name.
        id2label: the name of each class id, or names in their order; without it `data["class_name"]` has the names.

    Raises:
        InputError: detections without masks, without names of their classes, of a class that is no category, or with
            two equal segment ids.
    """
    if getattr(detections, "mask", None) is None:
        raise InputError("detections have no mask; expected bool [N, H, W]")
    masks = array_of(detections.mask, "detections.mask")
    if masks.ndim != 3 or masks.dtype != bool:
        raise InputError(f"detections.mask: expected bool [N, H, W], found {masks.dtype} {list(masks.shape)}")
    names = None if id2label is None else names_of(id2label, "id2label")
    columns = _columns(detections, len(masks), "class_name" if names is None else "class_id")
    segments: dict[int, Segment] = {}
    for place in range(len(masks)):
        entry = {key: column[place] for key, column in columns.items()}
        try:
            number = integer(entry, "segment_id", 1, MAX_INT32 - 1)
            if number in segments:
                raise InputError(f"segment_id {number} is of two detections, expected one")
            if names is None:
                category = category_named("class_name", entry["class_name"], categories)
            else:
                category = category_at(
                    "class_id", integer(entry, "class_id", 0, MAX_INT32), names, "id2label", categories
                )
            segments[number] = Segment(number, category.id, score_of(entry), crowd_of(entry, category))
        except InputError as error:
            raise InputError(f"detections[{place}]: {error}") from None
    return painted(masks, list(segments.values()), masks.shape[1:])


def _columns(detections: Any, count: int, needed: str) -> dict[str, list]:
    """What detections say, a list of `count` values for each key.

    Raises:
        InputError: the needed key, which tells the category, is not there, or a list has another length.
    """
    data = getattr(detections, "data", None) or {}
    given = {
        "class_name": data.get("class_name"),
        "class_id": getattr(detections, "class_id", None),
        "score": getattr(detections, "confidence", None),
        "segment_id": data.get("segment_id", np.arange(1, count + 1)),
        "iscrowd": data.get("iscrowd"),
    }
    if given[needed] is None and count:
        way = "; id2label, the names of class ids, does without it" if needed == "class_name" else ""
        raise InputError(f"detections have no {needed}{way}")
    columns = {key: np.asarray(values).tolist() for key, values in given.items() if values is not None}
    for key, values in columns.items():
        if len(values) != count:
            raise InputError(f"detections have {count} masks and {len(values)} values of {key}; expected equally many")
    return columns
