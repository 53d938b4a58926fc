"""The segment map: the lossless record of a panoptic image outside graphs.

It holds what the official file formats can hold and a panoptic map cannot: two crowds of one
category, a stuff category in two segments, areas and scores.

Functions that look at all pixels do so once, to find the runs of equal ids along the rows, and work on these:
an image of 1024 x 2048 has some ten thousand of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.panoptic_map import MAX_INSTANCE, category_of, encode, instance_of

# One row a segment. `area` in pixels, which files may give with a fraction; `score` is 1 for truth.
SEGMENT = np.dtype(
    [("id", np.int32), ("category", np.int32), ("iscrowd", np.bool_), ("area", np.float64), ("score", np.float64)]
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
    labels, areas, _ = extents(panoptic)
    labels, areas = labels[labels != 0], areas[labels != 0]
    category, instance = category_of(labels), instance_of(labels)
    unknown = labels[(category < 1) | (category > len(categories))]
    if unknown.size:
        raise InputError(f"panoptic map label {unknown[0]} is of no category in 1..{len(categories)}")
    numbered = labels[~categories.isthing[category] & (instance > 0)]
    if numbered.size:
        raise InputError(f"panoptic map label {numbered[0]} gives stuff an instance number")
    known = scores or {}
    return SegmentMap(
        panoptic,
        segment_rows(
            labels,
            category,
            categories.isthing[category] & (instance == 0),
            areas,
            [known.get(int(label), 1.0) for label in labels],
        ),
    )


def from_tables(ids: np.ndarray, labels: np.ndarray, scores: np.ndarray | None = None) -> SegmentMap:
    """Segment map of the map and the tables that post-processing makes of one image.

    Segment ids are rows + 1; rows without a pixel are left out.

    Args:
        ids: int32 `[H, W]`, 0 where void, else row + 1.
        labels: int32 `[N]`, panoptic-map label of each row.
        scores: float32 `[N]`; without them all are 1.
    """
    numbers = np.arange(1, len(labels) + 1, dtype=np.int32)
    areas = extents(ids).of(numbers).areas
    seen = areas > 0
    own_scores = None if scores is None else scores[seen]
    rows = segment_rows(numbers[seen], category_of(labels[seen]), areas=areas[seen], scores=own_scores)
    return SegmentMap(ids, rows)


def panoptic_labels(segments: np.ndarray, categories: CategoryTable) -> np.ndarray:
    """Panoptic-map label of each row of a segment table, int32 `[N]`.

    Things are numbered within their category in the order of the table; stuff and crowds get
    instance 0, so several stuff segments or crowds of one category share a label.

    Raises:
        InputError: more than 9,999 instances of one category, or more than 1,676 categories.
    """
    categories.require_panoptic_map()
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
    panoptic = relabel(segment_map.ids, rows["id"], labels)
    merged = []
    for label in np.unique(labels):
        same = rows[labels == label]
        if len(same) > 1:
            kind = "crowds" if same["iscrowd"].any() else "stuff segments"
            name = categories[int(category_of(label))].name
            merged.append(f"{len(same)} {kind} of {name} share one label: segments {same['id'].tolist()}")
    return panoptic, merged


class Extents(NamedTuple):
    """Where the segments of a map lie.

    Attributes:
        ids: `[N]`, of the map's dtype; each once, ascending if they are all that occur.
        areas: int64 `[N]`, pixels.
        boxes: int32 `[N, 4]`, the tight box (y1, x1, y2, x2); y2 and x2 lie one past the last pixel.
    """

    ids: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray

    def of(self, wanted) -> Extents:
        """The extents of the ids `wanted`, `[M]`, in their order; zeros where an id has no pixel."""
        row = rows_of(self.ids, wanted)
        seen = row >= 0
        areas, boxes = np.zeros(len(row), np.int64), np.zeros((len(row), 4), np.int32)
        areas[seen], boxes[seen] = self.areas[row[seen]], self.boxes[row[seen]]
        return Extents(np.asarray(wanted), areas, boxes)


def extents(ids: np.ndarray) -> Extents:
    """Area and tight box of each id that occurs in a map, integers `[H, W]`, void among them."""
    start, length = _runs(ids)
    values, row = np.unique(ids.reshape(-1)[start], return_inverse=True)
    y, x = np.divmod(start, max(ids.shape[1], 1))
    boxes = np.zeros((len(values), 4), np.int64)  # as y and x: `minimum.at` is slow where it has to cast
    boxes[:, :2] = ids.size
    np.minimum.at(boxes[:, 0], row, y)
    np.minimum.at(boxes[:, 1], row, x)
    np.maximum.at(boxes[:, 2], row, y + 1)
    np.maximum.at(boxes[:, 3], row, x + length)
    areas = np.bincount(row, length, len(values)).astype(np.int64)
    return Extents(values, areas, boxes.astype(np.int32))


def _runs(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First pixel (y * W + x) and length of each run of equal ids along the rows, int64 `[R]` each."""
    flat = ids.reshape(-1)
    starts = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=starts[1:])
    starts[:: max(ids.shape[1], 1)] = True
    start = np.flatnonzero(starts)
    return start, np.diff(start, append=flat.size)


def by_appearance(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The runs of a map, whose ids are numbered as they appear: which pixels are one segment, whatever its id is.

    Returns:
        First pixel (y * W + x) and number of each run, int64 `[R]` each, and the id of each number, `[N]`.
    """
    start, _ = _runs(ids)
    values, first, which = np.unique(ids.reshape(-1)[start], return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return start, number[which.reshape(-1)], values[order]


def rows_of(ids, wanted) -> np.ndarray:
    """Row of each of `wanted` in `ids`, -1 where it has none; int64, of the shape of `wanted`.

    Args:
        ids: integers `[N]`, in any order; of equal ones the first counts.
        wanted: integers of any shape.
    """
    ids, wanted = np.asarray(ids), np.asarray(wanted)
    if len(ids) == 0:
        return np.full(wanted.shape, -1, np.int64)
    order = np.argsort(ids, kind="stable")
    row = order[np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)]
    return np.where(ids[row] == wanted, row, -1)


def relabel(ids: np.ndarray, old, new, keep: bool = False) -> np.ndarray:
    """A map with `new` in place of `old`, int32 `[H, W]`.

    Args:
        ids: integers `[H, W]`.
        old, new: integers `[N]`.
        keep: let an id that is not among the old ones stay; it becomes 0 otherwise.
    """
    start, length = _runs(ids)
    values = ids.reshape(-1)[start]
    row = rows_of(old, values)
    replaced = np.append(new, 0)[row]  # row -1 is the 0 at the end
    if keep:
        replaced = np.where(row >= 0, replaced, values)
    return np.repeat(replaced.astype(np.int32), length).reshape(ids.shape)


def without_segments(segment_map: SegmentMap, dropped: np.ndarray) -> SegmentMap:
    """The map with some of its segments turned into void; ids without a row stay.

    Args:
        segment_map: the map.
        dropped: bool `[N]`, which rows of its table.
    """
    gone = segment_map.segments["id"][dropped]
    return SegmentMap(relabel(segment_map.ids, gone, np.zeros(len(gone)), keep=True), segment_map.segments[~dropped])


def rows_of_pixels(segment_map: SegmentMap) -> np.ndarray:
    """Row of the segment table + 1 of each pixel, int32 `[H, W]`; 0 where void or of no row."""
    ids = segment_map.segments["id"]
    return relabel(segment_map.ids, ids, np.arange(1, len(ids) + 1))


def ids_to_rgb(ids: np.ndarray) -> np.ndarray:
    """uint8 `[H, W, 3]` of the COCO panoptic PNG: id = R + 256 G + 65536 B.

    Raises:
        InputError: an id outside 0..2**24 - 1.
    """
    ids = np.asarray(ids)
    if ids.size and (ids.min() < 0 or ids.max() >= 1 << 24):
        raise InputError(f"segment ids must be 0..16777215 for a PNG, found {ids.min()}..{ids.max()}")
    packed = np.ascontiguousarray(ids, "<i4").view(np.uint8)  # four bytes a pixel, the last one 0
    return packed.reshape(*ids.shape, 4)[..., :3].copy()


def to_coco_segments(segment_map: SegmentMap, categories: CategoryTable) -> list[dict]:
    """The `segments_info` list of a COCO panoptic annotation: native ints, the dataset's own category ids.

    `bbox` is (x, y, width, height) in pixels, `score` is ours beyond the format.
    """
    rows = segment_map.segments
    boxes = coco_boxes(extents(segment_map.ids).of(rows["id"]).boxes)
    return [
        {
            "id": int(row["id"]),
            "category_id": categories[int(row["category"])].source_id,
            "area": int(row["area"]),
            "bbox": box,
            "iscrowd": int(row["iscrowd"]),
            "score": round(float(row["score"]), 6),
        }
        for row, box in zip(rows, boxes.tolist())
    ]


def coco_boxes(boxes: np.ndarray) -> np.ndarray:
    """(x, y, width, height) of boxes (y1, x1, y2, x2), integers `[N, 4]`."""
    y1, x1, y2, x2 = boxes.T
    return np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)
