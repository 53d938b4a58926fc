"""COCO annotations of an image's segments one by one, their masks as compressed run-length encoding.

Source: https://cocodataset.org/#format-data ("Object Detection") and #format-results; pycocotools 2.0.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpanoptic.adapters.entries import Segment, crowd_of, entry_of, painted, score_of
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import MAX_INT32, integer, require_keys
from tfpanoptic.rle import checked_rle, coco_masks, encode_mask
from tfpanoptic.segment_map import SegmentMap, to_coco_segments

KEYS = frozenset(("category_id", "segmentation"))


def to_coco_rle(segment_map: SegmentMap, categories: CategoryTable, image_id: int) -> list[dict[str, Any]]:
    """An annotation for each segment, stuff among them, as JSON takes it.

    Keys: `image_id`, `category_id` (the dataset's own), `segmentation` (`size` and `counts`, a text), `bbox` (x, y,
    width, height), `area`, `iscrowd`, `score`, and `segment_id`, which COCO does not know. A data set needs an `id`
    as well, which no two of its annotations share.

    pycocotools' `loadRes` takes the area of the box where there is a `bbox`, and sorts objects by it into small and
    large; leave `bbox` out of results for mask AP.

    Raises:
        InputError: pycocotools is not installed.
    """
    annotations = []
    ids = np.asfortranarray(segment_map.ids)  # RLE goes down the columns
    for segment, score in zip(to_coco_segments(segment_map, categories), segment_map.segments["score"].tolist()):
        rle = encode_mask(ids == segment["id"])
        annotations.append(
            {
                "image_id": image_id,
                "segment_id": segment.pop("id"),
                "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
                **segment,
                "score": score,
            }
        )
    return annotations


def from_coco_rle(
    annotations: Sequence[Any], categories: CategoryTable, size: tuple[int, int] | None = None
) -> SegmentMap:
    """The segment map of the annotations of one image.

    Masks may overlap: a pixel of several goes to the one of the best score, of equal ones (as without scores) to the
    first; to a crowd only where no other is. Annotations that keep no pixel are left out; areas are counted, `bbox` and
    `area` are not read.

    Args:
        annotations: dicts with `category_id` and `segmentation`, RLE of either form or polygons; `score`, `iscrowd` and
            `segment_id` where they have them.
        categories: `category_id` is the source id of one.
        size: (height, width) of the image; needed where no annotation has RLE.

    Raises:
        InputError: annotations of two images, an unknown category, a segmentation that is none or of another size, two
            equal segment ids, or no size. pycocotools is not installed.
    """
    size = size or _size(annotations)
    known = categories.by_source_id()
    segments: dict[int, Segment] = {}
    masks = []
    for place, entry in enumerate(annotations):
        try:
            entry = entry_of(entry, KEYS)
            if entry.get("image_id") != annotations[0].get("image_id"):
                expected = f"expected one image, {annotations[0].get('image_id')!r} as the first"
                raise InputError(f"image_id {entry.get('image_id')!r}; {expected}")
            source_id = integer(entry, "category_id", 0, MAX_INT32)
            if source_id not in known:
                raise InputError(f"unknown category_id {source_id}, not in {reprlib.repr(sorted(known))}")
            number = integer({"segment_id": place + 1, **entry}, "segment_id", 1, MAX_INT32 - 1)
            if number in segments:
                raise InputError(f"segment_id {number} is of two annotations, expected one")
            category = known[source_id]
            segments[number] = Segment(number, category.id, score_of(entry), crowd_of(entry, category))
            masks.append(checked_rle(_as_json(entry["segmentation"]), size))
        except InputError as error:
            raise InputError(f"annotations[{place}]: {error}") from None
    decoded = (coco_masks().decode(mask).astype(bool) for mask in masks)
    return painted(decoded, list(segments.values()), size)


def _size(annotations: Sequence[Any]) -> tuple[int, int]:
    """(height, width) that the first RLE among the annotations says.

    Raises:
        InputError: there is none, or it has another form.
    """
    for place, entry in enumerate(annotations):
        rle = entry.get("segmentation") if isinstance(entry, dict) else None
        if isinstance(rle, dict) and "size" in rle:
            try:
                sides = np.asarray(rle["size"]).tolist()
                if not isinstance(sides, list) or len(sides) != 2:
                    raise InputError(f"size must be [height, width], found {reprlib.repr(rle['size'])}")
                height, width = (integer({"size": side}, "size", 1, MAX_INT32) for side in sides)
            except InputError as error:
                raise InputError(f"annotations[{place}]: segmentation: {error}") from None
            return height, width
    raise InputError("no annotation has RLE, which has the image's size; give size=(height, width)")


def _as_json(segmentation: Any) -> Any:
    """A segmentation as JSON would hold it: pycocotools has the text of RLE in bytes."""
    if not isinstance(segmentation, dict):
        return segmentation
    require_keys(segmentation, frozenset(("size", "counts")))
    counts = segmentation["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    return {"size": np.asarray(segmentation["size"]).tolist(), "counts": counts}
