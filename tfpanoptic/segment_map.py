"""The segment map: the lossless record of a panoptic image outside graphs.

It holds what the official file formats can hold and a panoptic map cannot: two crowds of one
category, a stuff category in two segments, areas and scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.panoptic_map import MAX_INSTANCE, category_of, encode, instance_of

# One row a segment. `area` in pixels; `score` is 1 for truth.
SEGMENT = np.dtype(
    [("id", np.int32), ("category", np.int32), ("iscrowd", np.bool_), ("area", np.int64), ("score", np.float32)]
)


@dataclass(frozen=True)
class SegmentMap:
    """One image's segments.

    Attributes:
        ids: int32 `[H, W]`, the segment id of each pixel, 0 where void.
        segments: structured array `[N]` of dtype `SEGMENT`. `category` is our id, 1..C.
            `area` is what the file says where it came from a file, else the pixel count.
    """

    ids: np.ndarray
    segments: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.ids.shape  # type: ignore[return-value]


def segment_rows(ids, categories, iscrowd=None, areas=None, scores=None) -> np.ndarray:
    """Table of segments, dtype `SEGMENT`, from one sequence of length N a column."""
    rows = np.zeros(len(ids), SEGMENT)
    rows["id"], rows["category"] = ids, categories
    rows["iscrowd"] = False if iscrowd is None else iscrowd
    rows["area"] = 0 if areas is None else areas
    rows["score"] = 1.0 if scores is None else scores
    return rows


def from_panoptic_map(panoptic: np.ndarray, categories: CategoryTable, scores: dict[int, float] | None = None):
    """Segment map of a panoptic map; segment ids are the panoptic map's own labels.

    Args:
        panoptic: int32 `[H, W]`.
        categories: says which categories are things (a thing with instance 0 is a crowd).
        scores: label -> score; labels without one get 1.

    Raises:
        InputError: a label of no known category, or stuff with an instance number.
    """
    panoptic = np.asarray(panoptic, np.int32)
    labels, areas = np.unique(panoptic, return_counts=True)
    labels, areas = labels[labels != 0], areas[labels != 0]
    isthing = np.zeros(len(categories) + 1, bool)
    isthing[list(categories.thing_ids)] = True
    category, instance = category_of(labels), instance_of(labels)
    unknown = labels[(category < 1) | (category > len(categories))]
    if unknown.size:
        raise InputError(f"panoptic map label {unknown[0]} is of no category in 1..{len(categories)}")
    numbered = labels[~isthing[category] & (instance > 0)]
    if numbered.size:
        raise InputError(f"panoptic map label {numbered[0]} gives stuff an instance number")
    known = scores or {}
    return SegmentMap(
        panoptic,
        segment_rows(
            labels,
            category,
            isthing[category] & (instance == 0),
            areas,
            [known.get(int(label), 1.0) for label in labels],
        ),
    )


def panoptic_labels(segments: np.ndarray, categories: CategoryTable) -> np.ndarray:
    """Panoptic-map label of each row of a segment table, int32 `[N]`.

    Things are numbered within their category in the order of the table; stuff and crowds get
    instance 0, so several stuff segments or crowds of one category share a label.

    Raises:
        InputError: more than 9,999 instances of one category.
    """
    labels = np.zeros(len(segments), np.int32)
    counts: dict[int, int] = {}
    things = set(categories.thing_ids)
    for row, (category, crowd) in enumerate(zip(segments["category"].tolist(), segments["iscrowd"].tolist())):
        instance = 0
        if category in things and not crowd:
            instance = counts[category] = counts.get(category, 0) + 1
            if instance > MAX_INSTANCE:
                name = categories[category].name
                raise InputError(f"more than {MAX_INSTANCE} instances of {name} in one image")
        labels[row] = encode(category, instance)
    return labels


def to_panoptic_map(segment_map: SegmentMap, categories: CategoryTable) -> tuple[np.ndarray, list[str]]:
    """Panoptic map int32 `[H, W]`, and a line for each group of segments that it had to merge.

    Pixels of an id without a row become void. The lines say which segments share one label from
    here on: crowds of one category, and stuff of one category in several segments.
    """
    rows = segment_map.segments
    labels = panoptic_labels(rows, categories)
    order = np.argsort(rows["id"])
    ids, labels_by_id = np.append(rows["id"][order], -1), np.append(labels[order], 0)
    place = np.minimum(np.searchsorted(ids[:-1], segment_map.ids), max(len(rows) - 1, 0))
    panoptic = np.where(ids[place] == segment_map.ids, labels_by_id[place], 0).astype(np.int32)
    merged = []
    for label in np.unique(labels):
        same = rows[labels == label]
        if len(same) > 1:
            kind = "crowds" if same["iscrowd"].any() else "stuff segments"
            name = categories[int(category_of(label))].name
            merged.append(f"{len(same)} {kind} of {name} share one label: segments {same['id'].tolist()}")
    return panoptic, merged


def pixel_areas(ids: np.ndarray, segment_ids: np.ndarray) -> np.ndarray:
    """Pixels of each of `segment_ids` in `ids`, int64 `[N]`."""
    found, counts = np.unique(ids, return_counts=True)
    area = dict(zip(found.tolist(), counts.tolist()))
    return np.array([area.get(int(i), 0) for i in segment_ids], np.int64)


def boxes(ids: np.ndarray, segment_ids: np.ndarray) -> np.ndarray:
    """Tight boxes (y1, x1, y2, x2) of each of `segment_ids`, int32 `[N, 4]`; zeros where it has no pixel.

    Pixel edges: y2 and x2 lie one past the last pixel.
    """
    result = np.zeros((len(segment_ids), 4), np.int32)
    if len(segment_ids) == 0:
        return result
    order = np.argsort(segment_ids)
    sorted_ids = np.asarray(segment_ids)[order]
    y, x = np.nonzero(np.isin(ids, sorted_ids))
    row = order[np.searchsorted(sorted_ids, ids[y, x])]
    result[:, :2] = np.iinfo(np.int32).max
    np.minimum.at(result[:, 0], row, y)
    np.minimum.at(result[:, 1], row, x)
    np.maximum.at(result[:, 2], row, y + 1)
    np.maximum.at(result[:, 3], row, x + 1)
    result[result[:, 2] == 0] = 0
    return result


def ids_to_rgb(ids: np.ndarray) -> np.ndarray:
    """uint8 `[H, W, 3]` of the COCO panoptic PNG: id = R + 256 G + 65536 B.

    Raises:
        InputError: an id outside 0..2**24 - 1.
    """
    ids = np.asarray(ids)
    if ids.size and (ids.min() < 0 or ids.max() >= 1 << 24):
        raise InputError(f"segment ids must be 0..16777215 for a PNG, found {ids.min()}..{ids.max()}")
    return np.stack([ids & 255, (ids >> 8) & 255, ids >> 16], axis=-1).astype(np.uint8)


def rgb_to_ids(rgb: np.ndarray) -> np.ndarray:
    """int32 `[H, W]` segment ids of a COCO panoptic PNG, uint8 `[H, W, 3]`."""
    rgb = rgb.astype(np.int32)
    return rgb[..., 0] + (rgb[..., 1] << 8) + (rgb[..., 2] << 16)


def to_coco_segments(segment_map: SegmentMap, categories: CategoryTable) -> list[dict]:
    """The `segments_info` list of a COCO panoptic annotation: native ints, the dataset's own category ids.

    `bbox` is (x, y, width, height) in pixels, `score` is ours beyond the format.
    """
    rows = segment_map.segments
    return [
        {
            "id": int(row["id"]),
            "category_id": categories[int(row["category"])].source_id,
            "area": int(row["area"]),
            "bbox": [int(box[1]), int(box[0]), int(box[3] - box[1]), int(box[2] - box[0])],
            "iscrowd": int(row["iscrowd"]),
            "score": round(float(row["score"]), 6),
        }
        for row, box in zip(rows, boxes(segment_map.ids, rows["id"]))
    ]
