"""Whether two evaluations were against the same truth: a fingerprint of an image's true segments.

It is of what the measures read: which pixels are one segment, its category by name, whether it is a crowd, and the area
that the annotation gives. Segment ids and the order of the table do not matter, so a truth that was written anew, or
read from files of another format, stays the same.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.segment_map import SegmentMap, rows_of, runs

DIGEST_BYTES = 8


class TruthPrint(NamedTuple):
    """Fingerprint of the true segments of an image; empty texts where a state file does not hold it.

    Attributes:
        segments: of their pixels, categories and crowds.
        areas: of the areas in the annotation, which may be wrong.
    """

    segments: str = ""
    areas: str = ""


UNKNOWN = TruthPrint()


def truth_print(truth: SegmentMap, categories: CategoryTable) -> TruthPrint:
    """The fingerprint of a truth, whose ids all have a row in its table, 0 aside."""
    start, _ = runs(truth.ids)
    ids, first, which = np.unique(truth.ids.reshape(-1)[start], return_index=True, return_inverse=True)
    order = np.argsort(first)  # segments are numbered as they appear, whatever their ids are
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    row = rows_of(truth.segments["id"], ids[order])
    rows = truth.segments[row[row >= 0]]
    kinds = [
        "" if r < 0 else f"{categories[int(truth.segments['category'][r])].name} {truth.segments['iscrowd'][r]}"
        for r in row.tolist()
    ]
    pixels = np.concatenate([truth.shape, start, number[which.reshape(-1)]]).astype("<i8")
    return TruthPrint(
        _digest(pixels.tobytes(), "\n".join(kinds).encode()), _digest(rows["area"].astype("<f8").tobytes())
    )


def _digest(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
