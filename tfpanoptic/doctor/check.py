"""What is wrong with panoptic data in COCO format, all of it, and what is in them; before any training.

The readers of `data/` stop at the first problem; this goes on past every one. It needs no TensorFlow, and holds the
JSON and one image at a time.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tfpanoptic.categories import Category
from tfpanoptic.data.coco_json import ImageEntry
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.doctor.entries import read_entries
from tfpanoptic.doctor.files import check_photo, check_truth, find_copies
from tfpanoptic.doctor.findings import Findings
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import SEGMENT

# Images that the census names as those with the largest share of void.
WORST = 5


def check(
    images: str | Path,
    annotations: str | Path,
    panoptic: str | Path,
    other_images: Iterable[Path] = (),
    limit: int | None = None,
) -> dict[str, Any]:
    """Findings about a dataset in COCO panoptic format, and its census.

    Args:
        images: folder of the photos.
        annotations: the panoptic JSON.
        panoptic: folder of the truth's PNGs.
        other_images: photos of the other split, which should not be among these.
        limit: look at the pixels of only so many images, evenly spread; everything else is checked of all.

    Returns:
        A dict that JSON can hold:
            `findings`: list of `{"level", "code", "what", "count", "examples", "advice"}`, errors first
            `census`: None where the JSON cannot be used, else `{"images", "images_read", "segments", "crowds",
                "void_share" of the pixels read, "most_void", "categories"}`. A category is `{"id", "name", "isthing",
                "images", "segments", "crowds", "pixel_share", "median_area"}`; areas are those of the JSON, shares are
                of the pixels of all images, the median is of segments that are no crowds.
    """
    images, annotations, panoptic = Path(images), Path(annotations), Path(panoptic)
    findings = Findings()
    usable = read_entries(annotations, findings)
    if usable is None:
        return {"findings": findings.to_list(), "census": None}
    categories, entries = usable
    listing, others = FolderListing(), list(other_images)
    photos = _present(images, [e.file_name for e in entries], "image-missing", listing, findings)
    truths = _present(panoptic, [e.png_name for e in entries], "png-missing", listing, findings)
    other_names = {path.name for path in others if path.parent == images}
    _find_unlisted(listing.names(images), entries, photos, other_names, findings)
    find_copies([images / e.file_name for e in entries if e.file_name in photos], others, findings)
    read = entries if limit is None else [entries[i * len(entries) // limit] for i in range(min(limit, len(entries)))]
    void: list[tuple[str, int, int]] = []
    with progress("check", len(read)) as track:
        for entry in read:
            if entry.file_name in photos:
                check_photo(images / entry.file_name, entry, findings)
            pixels = check_truth(panoptic / entry.png_name, entry, findings) if entry.png_name in truths else None
            if pixels is not None:
                void.append((entry.file_name, pixels, entry.height * entry.width))
            track.advance()
    census = _census(entries, categories, findings)
    return {"findings": findings.to_list(), "census": {**census, **_void(void, len(read))}}


def error_line(findings: Sequence[dict[str, Any]], where: str) -> str | None:
    """One line that sums up the errors among findings; None without any."""
    errors = [finding for finding in findings if finding["level"] == "error"]
    if not errors:
        return None
    told = "; ".join(f"{finding['what']} ({finding['count']})" for finding in errors[:3])
    more = f"; and {len(errors) - 3} other kinds" if len(errors) > 3 else ""
    return f"{where}: errors in the data: {told}{more}"


def _present(folder: Path, names: list[str], code: str, listing: FolderListing, findings: Findings) -> set[str]:
    """The names whose files exist; a finding for each other one, or one for a folder that is missing altogether."""
    if not folder.is_dir():
        findings.add("folder-missing", str(folder))
        return set()
    present = {name for name in names if listing.has(folder / name)}
    for name in names:
        if name not in present:
            findings.add(code, name)
    return present


def _find_unlisted(
    names: set[str], entries: list[ImageEntry], present: set[str], other_names: set[str], findings: Findings
) -> None:
    """Findings about photos in the folder that neither this JSON nor that of the other split lists."""
    suffixes = {PurePosixPath(name).suffix.lower() for name in present}
    for name in sorted(names - {entry.file_name for entry in entries} - other_names):
        if PurePosixPath(name).suffix.lower() in suffixes:
            findings.add("unlisted-file", name)


def _census(entries: list[ImageEntry], categories: tuple[Category, ...], findings: Findings) -> dict[str, Any]:
    """Images, segments and categories, by the JSON alone; a finding for each category without a segment."""
    images: Counter[int] = Counter()
    for entry in entries:
        images.update(np.unique(entry.segments["category"]).tolist())
    segments = np.concatenate([np.empty(0, SEGMENT), *(entry.segments for entry in entries)])
    pixels = sum(entry.height * entry.width for entry in entries)
    rows = []
    for category in categories:
        own = segments[segments["category"] == category.id]
        sizes = own["area"][~own["iscrowd"]].tolist()
        if not len(own):
            findings.add("category-unseen", category.name)
        rows.append(
            {
                "id": category.source_id,
                "name": category.name,
                "isthing": category.isthing,
                "images": images[category.id],
                "segments": len(own),
                "crowds": len(own) - len(sizes),
                "pixel_share": int(own["area"].sum()) / pixels if pixels else 0.0,
                "median_area": statistics.median(sizes) if sizes else None,
            }
        )
    return {
        "images": len(entries),
        "segments": len(segments),
        "crowds": int(segments["iscrowd"].sum()),
        "categories": rows,
    }


def _void(void: list[tuple[str, int, int]], images_read: int) -> dict[str, Any]:
    """The census' entries about void, of (file name, void pixels, pixels) of the images whose truth could be read."""
    total = sum(pixels for _, _, pixels in void)
    shares = sorted(((part / pixels, name) for name, part, pixels in void if part), reverse=True)
    return {
        "images_read": images_read,
        "void_share": sum(part for _, part, _ in void) / total if total else None,
        "most_void": [{"file_name": name, "void_share": share} for share, name in shares[:WORST]],
    }
