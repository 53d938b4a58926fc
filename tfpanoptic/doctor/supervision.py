"""What the segments of a split teach and what they do not, by its annotations alone."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

import numpy as np

from tfpanoptic.doctor.contents import Contents
from tfpanoptic.doctor.findings import Findings
from tfpanoptic.doctor.kinds import FAR_SIDES
from tfpanoptic.segment_map import SEGMENT

# Things of so many images have to be alone in them before that is odd. Own choice.
LEAST_SINGLE = 10


def check_supervision(contents: Contents, findings: Findings) -> None:
    """Findings about things or stuff that nobody labelled, things that are no instances, and sizes."""
    records = contents.records
    isthing = np.array([False, *(category.isthing for category in contents.categories)])
    segments = [record.segments for record in records]
    things, stuff = ([rows[isthing[rows["category"]] == kind] for rows in segments] for kind in (True, False))
    names = ", ".join(sorted(category.name for category in contents.categories)[:5])
    labelled = sum(map(len, segments))
    if records and not labelled and all(case.complete for case in contents.cases):
        findings.add("nothing-labelled", f"{len(records)} images")
    for code, kind in (("no-things", things), ("no-stuff", stuff)):
        if labelled and not any(map(len, kind)):
            findings.add(code, f"categories: {names}")
    most = [max(Counter(rows["category"][~rows["iscrowd"]].tolist()).values(), default=0) for rows in things]
    alone = sum(number > 0 for number in most)
    if alone >= LEAST_SINGLE and max(most) == 1:
        findings.add("things-single", f"{alone} images with things")
    by_side = sorted(records, key=lambda record: max(record.height, record.width))
    if by_side:
        small, large = by_side[0], by_side[-1]
        if max(large.height, large.width) > FAR_SIDES * max(small.height, small.width):
            told = (f"{r.file_name} {r.height} x {r.width}" for r in (small, large))
            findings.add("sizes-differ", " and ".join(told))


def census(contents: Contents) -> dict[str, Any]:
    """Images, segments and categories, by the annotations alone; `check.check` says what is in it."""
    images: Counter[int] = Counter()
    for record in contents.records:
        images.update(np.unique(record.segments["category"]).tolist())
    segments = np.concatenate([np.empty(0, SEGMENT), *(record.segments for record in contents.records)])
    pixels = sum(record.height * record.width for record in contents.records)
    rows = []
    for category in contents.categories:
        own = segments[segments["category"] == category.id]
        sizes = own["area"][~own["iscrowd"]].tolist()
        rows.append(
            {
                "id": category.source_id,
                "name": category.name,
                "isthing": category.isthing,
                "images": images[category.id],
                "segments": len(own),
                "crowds": len(own) - len(sizes),
                "pixel_share": int(np.minimum(own["area"], pixels).sum()) / pixels if pixels else 0.0,
                "median_area": statistics.median(sizes) if sizes else None,
            }
        )
    return {
        "images": len(contents.cases),
        "segments": len(segments),
        "crowds": int(segments["iscrowd"].sum()),
        "categories": rows,
    }
