"""What `post_process_panoptic_segmentation` of Hugging Face Transformers returns for an image.

A dict of `segmentation`, the segment id of each pixel `[H, W]`, and `segments_info`, a list of dicts with `id`,
`label_id`, `was_fused` (EoMT has none) and `score`. MaskFormer, Mask2Former, OneFormer and DETR count ids from 1, and 0
is void; EoMT and the post-processing of instances count from 0, and -1 is void, as it is for all of them where nothing
was found. A label that is fused is listed once for each query that went into its segment. What a label means is in the
model's `config.id2label`.

Source: Transformers 5.24, `models/mask2former/image_processing_mask2former.py`, `models/eomt/image_processing_eomt.py`:
`compute_segments`, `post_process_panoptic_segmentation`, `post_process_instance_segmentation`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfpanoptic.adapters.entries import (
    Names,
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
from tfpanoptic.json_entry import MAX_INT32, integer, require_keys
from tfpanoptic.segment_map import SegmentMap, extents

KEYS = frozenset(("segmentation", "segments_info"))
SEGMENT_KEYS = frozenset(("id", "label_id"))
VOID = (0, -1)


def to_transformers(segment_map: SegmentMap, categories: CategoryTable, id2label: Names | None = None) -> dict:
    """The dict for a segment map: `segmentation`, int32 `[H, W]`, 0 where void, and `segments_info`.

    `was_fused` is True for stuff. A crowd, which the format does not know, says `iscrowd` 1 beside.

    Args:
        segment_map: the segments.
        categories: what they can be.
        id2label: the name of each label id, by which categories are found; without it `label_id` is the place of the
            category in the table, counted from 0.

    Raises:
        InputError: a category of a segment is not in `id2label`, or twice.
    """
    names = names_of([c.name for c in categories] if id2label is None else id2label, "id2label")
    segments = []
    for row in segment_map.segments:
        category = categories[int(row["category"])]
        segment = {
            "id": int(row["id"]),
            "label_id": number_of(category, names, "id2label"),
            "was_fused": not category.isthing,
            "score": float(row["score"]),
        }
        segments.append({**segment, "iscrowd": 1} if row["iscrowd"] else segment)
    return {"segmentation": listed_ids(segment_map), "segments_info": segments}


def from_transformers(prediction: Any, categories: CategoryTable, id2label: Names) -> SegmentMap:
    """The segment map of the dict of one image.

    Where an id is 0, all of them become one more, for 0 is void here. Segments without a pixel are left out. A fused
    segment has the best of its scores.

    Args:
        prediction: the dict; `segmentation` is an array or a tensor.
        categories: what the segments can be; labels are matched to them by name.
        id2label: the name of each label id, as `model.config.id2label`, or names in the order of label ids.

    Raises:
        InputError: another structure, a label that is no category, a pixel of a segment that is not listed, or an id
            of two segments.
    """
    try:
        require_keys(prediction, KEYS)
    except InputError as error:
        raise InputError(f"prediction of Transformers: {error}; there is one for each image") from None
    ids, names = ids_of(prediction["segmentation"], "segmentation"), names_of(id2label, "id2label")
    if not isinstance(prediction["segments_info"], list):
        raise InputError(f"segments_info must be a list, found {type(prediction['segments_info']).__name__}")
    segments: dict[int, Segment] = {}
    for place, entry in enumerate(prediction["segments_info"]):
        try:
            segment, fused = _read(entry, categories, names)
            former = segments.get(segment.id)
            if former and not (fused and former.category == segment.category):
                # Transformers goes on counting from the fused segment's id, so that later segments can get a taken one.
                fault = "expected one; this happens where Transformers fuses labels: set label_ids_to_fuse to set()"
                raise InputError(f"id {segment.id} is of two segments, whose pixels cannot be told apart; {fault}")
        except InputError as error:
            raise InputError(f"segments_info[{place}]: {error}") from None
        segments[segment.id] = max(former or segment, segment, key=lambda one: one.score)
    unlisted = np.setdiff1d(extents(ids).ids, [*segments, *VOID])
    if unlisted.size:
        raise InputError(f"segmentation: id {unlisted[0]} is not in segments_info; only 0 and -1 are void")
    return segment_map_of(ids, list(segments.values()))


def _read(entry: Any, categories: CategoryTable, names: dict[int, str]) -> tuple[Segment, bool]:
    """The segment of an entry, and whether it was fused."""
    entry = entry_of(entry, SEGMENT_KEYS)
    number = integer(entry, "id", 0, MAX_INT32 - 1)
    category = category_at("label_id", integer(entry, "label_id", 0, MAX_INT32), names, "id2label", categories)
    segment = Segment(number, category.id, score_of(entry), crowd_of(entry, category))
    return segment, bool(entry.get("was_fused"))
