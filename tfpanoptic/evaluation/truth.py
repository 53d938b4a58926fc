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
from tfpanoptic.segment_map import SegmentMap, by_appearance, rows_of

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
    """The fingerprint of a truth."""
    start, number, ids = by_appearance(truth.ids)
    row = rows_of(truth.segments["id"], ids)
    rows = truth.segments[row[row >= 0]]
    names = [f"{categories[c].name} {crowd}" for c, crowd in rows[["category", "iscrowd"]].tolist()]
    # Which numbers have a row, and which of the others is void.
    kinds = np.where(row >= 0, 2, ids == 0)
    pixels = np.concatenate([truth.shape, start, number, kinds]).astype("<i8")
    return TruthPrint(
        _digest(pixels.tobytes(), "\n".join(names).encode()), _digest(rows["area"].astype("<f8").tobytes())
    )


def _digest(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
