"""The files of one image, its photo and the PNG of its truth, compared with the JSON; and files that are copies."""

from __future__ import annotations

import hashlib
import os
import reprlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import numpy as np

from tfpanoptic.data.coco_json import ImageEntry
from tfpanoptic.data.segment_png import read_segment_ids
from tfpanoptic.doctor.findings import MUCH_VOID, TINY_AREA, Findings
from tfpanoptic.errors import InputError
from tfpanoptic.photo.image_file import open_image
from tfpanoptic.photo.pixels import exif_orientation, read_image
from tfpanoptic.segment_map import coco_boxes, extents

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Bit depth and colour type lie here in the file. Source: PNG specification, section 11.2.1 (IHDR).
BIT_DEPTH, COLOR_TYPE = 24, 25
COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}
ID_KINDS = ("8-bit RGB", "8-bit RGBA", "1-bit palette", "2-bit palette", "4-bit palette", "8-bit palette")
# Tools count the far edge of a box in or out; own choice: that much is no finding.
BOX_TOLERANCE = 1.0
# Bytes at the end of a file that tell most files of one size apart.
TAIL = 4096


def check_photo(path: Path, entry: ImageEntry, findings: Findings) -> None:
    """Findings about the image file of an entry, which exists."""
    try:
        with open_image(path) as image:
            orientation, stored = exif_orientation(image), image.size[::-1]
        size = read_image(path).shape[:2]
    except InputError as error:
        findings.add("image-unreadable", f"{entry.file_name}: {str(error).removeprefix(f'{path}: ')}")
        return
    fits_as_stored = stored == (entry.height, entry.width)
    if size != (entry.height, entry.width):
        findings.add("image-turned" if fits_as_stored else "image-size", f"{entry.file_name}: {_sizes(size, entry)}")
    elif orientation != 1 and fits_as_stored:
        findings.add("image-orientation", f"{entry.file_name}: orientation {orientation}")


def check_truth(path: Path, entry: ImageEntry, findings: Findings) -> int | None:
    """Findings about the truth PNG of an entry, which exists; its void pixels, None where they are not known."""
    try:
        kind = png_kind(path)
        if kind not in ID_KINDS:
            findings.add("png-kind", f"{entry.png_name}: {kind}")
            return None
        ids = read_segment_ids(path)
    except (InputError, OSError) as error:
        findings.add("png-unreadable", f"{entry.png_name}: {str(error).removeprefix(f'{path}: ')}")
        return None
    if "palette" in kind:
        findings.add("png-palette", f"{entry.png_name}: {kind}")
    if ids.shape != (entry.height, entry.width):
        findings.add("png-size", f"{entry.png_name}: {_sizes(ids.shape, entry)}")
        return None
    numbers, areas, boxes = extents(ids)
    pixels = dict(zip(numbers.tolist(), areas.tolist()))
    void = pixels.pop(0, 0)
    _check_segments(entry, pixels, findings)
    _check_boxes(entry, dict(zip(numbers.tolist(), coco_boxes(boxes).tolist())), findings)
    if void > MUCH_VOID * ids.size:
        findings.add("much-void", f"{entry.file_name}: {100 * void / ids.size:.0f} % void")
    return void


def png_kind(path: Path) -> str:
    """What the header of a file says of its pixels: "8-bit RGB", or "no PNG"."""
    with path.open("rb") as file:
        head = file.read(COLOR_TYPE + 1)
    if not head.startswith(PNG_SIGNATURE) or len(head) <= COLOR_TYPE:
        return "no PNG"
    return f"{head[BIT_DEPTH]}-bit {COLOR_TYPES.get(head[COLOR_TYPE], 'of an unknown colour type')}"


def _check_segments(entry: ImageEntry, pixels: dict[int, int], findings: Findings) -> None:
    listed = dict(entry.segments[["id", "area"]].tolist())
    for segment_id, area in pixels.items():
        if segment_id not in listed:
            # An entry that could not be used was found already; its pixels are no second finding.
            if entry.complete:
                findings.add("id-unlisted", f"{entry.png_name}: segment {segment_id}, {area} pixels")
        # An area larger than the image was found already, by the JSON alone.
        elif area != listed[segment_id] <= entry.height * entry.width:
            said = listed[segment_id]
            findings.add("area-differs", f"{entry.png_name}: segment {segment_id}: area {said:.12g}, {area} pixels")
        if area < TINY_AREA:
            findings.add("tiny", f"{entry.png_name}: segment {segment_id}, {area} pixels")
    for segment_id in listed:
        if segment_id not in pixels:
            findings.add("id-absent", f"{entry.png_name}: segment {segment_id}")


def _check_boxes(entry: ImageEntry, boxes: dict[int, list[int]], findings: Findings) -> None:
    for segment_id, said in zip(entry.segments["id"].tolist(), entry.boxes, strict=True):
        if said is None or segment_id not in boxes:
            continue
        true = boxes[segment_id]
        try:
            box = np.array(said, np.float64)
            right = box.shape == (4,) and bool(np.all(np.abs(box - true) <= BOX_TOLERANCE))
        except (TypeError, ValueError):
            right = False
        if not right:
            difference = f"bbox {reprlib.repr(said)}, pixels {true}"
            findings.add("bbox-differs", f"{entry.png_name}: segment {segment_id}: {difference}")


def find_copies(paths: list[Path], others: Iterable[Path], findings: Findings) -> None:
    """Findings about images that equal an earlier one of `paths`, or one of `others`, byte by byte."""
    foreign = list(others)
    groups = [[(path, False) for path in paths] + [(path, True) for path in foreign]]
    # Most files differ in size or at their end, and need not be read.
    for key in (_size, _tail, _digest):
        groups = [part for group in groups for part in _split(group, key)]
    for group in groups:
        own = [path for path, is_foreign in group if not is_foreign]
        for path in own[1:]:
            findings.add("image-copy", f"{path.name} equals {own[0].name}")
        other = next((path for path, is_foreign in group if is_foreign), None)
        for path in own if other is not None else []:
            findings.add("split-copy", f"{path.name} equals {other}")


def _split(group: list[tuple[Path, bool]], key: Callable[[Path], Hashable]) -> list[list[tuple[Path, bool]]]:
    """The parts of a group whose files have one key; those of a single file are dropped."""
    parts: dict[Hashable, list[tuple[Path, bool]]] = defaultdict(list)
    for path, is_foreign in group:
        try:
            parts[key(path)].append((path, is_foreign))
        except OSError:
            continue
    return [part for part in parts.values() if len(part) > 1]


def _size(path: Path) -> int:
    return path.stat().st_size


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
        return file.read()


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _sizes(size: tuple[int, ...], entry: ImageEntry) -> str:
    return f"{size[0]} x {size[1]} (height x width), the JSON says {entry.height} x {entry.width}"
