"""The truth of one image compared with its annotation; whatever the file holds, it ends with findings."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfpanoptic.categories import Category
from tfpanoptic.data.dataset import ImageRecord, truth_contents
from tfpanoptic.data.storage import BIT_DEPTH, COCO_FILES
from tfpanoptic.doctor.kinds import MUCH_VOID, TINY_AREA
from tfpanoptic.errors import InputError, Sink
from tfpanoptic.segment_map import coco_boxes, extents, ids_to_rgb, relabel

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The colour type follows the bit depth. Source: PNG specification, section 11.2.1 (IHDR).
COLOR_TYPE = BIT_DEPTH + 1
COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}
ID_KINDS = ("8-bit RGB", "8-bit RGBA", "1-bit palette", "2-bit palette", "4-bit palette", "8-bit palette")
# How files of other formats begin that are given for PNGs.
OTHER_FORMATS = {b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
# Tools count the far edge of a box in or out; own choice: that much is no finding.
BOX_TOLERANCE = 1.0
# More unknown ids than this, and than twice those listed, of so few pixels in the middle are colours between
# segments. Own choice.
MANY_UNKNOWN, FEW_PIXELS = 20, 8


class Case(NamedTuple):
    """One image to be checked.

    Attributes:
        record: the image, where its bytes are, and the segments that can be used.
        truth_name: what findings call the truth.
        boxes: the file's `bbox` of each segment, unchecked; None where it has none.
        complete: whether all segments of the annotation can be used.
        has_photo, has_truth: whether the files exist.
        exact_areas: whether areas should be those of the pixels.
    """

    record: ImageRecord
    truth_name: str
    boxes: list
    complete: bool = True
    has_photo: bool = True
    has_truth: bool = True
    exact_areas: bool = True


def check_truth(case: Case, categories: tuple[Category, ...], photo: np.ndarray | None, sink: Sink) -> int | None:
    """Findings about the truth of an image, which exists; its void pixels, None where they are not known.

    Args:
        case: the image.
        categories: of its dataset.
        photo: its pixels, uint8 `[H, W, 3]`, if they could be read.
        sink: gets the findings.
    """
    record, name = case.record, case.truth_name
    in_files = record.storage is COCO_FILES
    try:
        kind = png_kind(record.panoptic_path) if in_files else ""
        if in_files and kind not in ID_KINDS:
            sink("png-kind", f"{name}: {kind}")
            return None
        ids = record.storage.truth.read(truth_contents(record), (record.height, record.width), record.panoptic_name)
    except (InputError, OSError) as error:
        sink("png-unreadable", f"{name}: {str(error).removeprefix(f'{record.panoptic_name}: ')}")
        return None
    if "palette" in kind:
        sink("png-palette", f"{name}: {kind}")
    if ids.shape != (record.height, record.width):
        sink("png-size", f"{name}: {sizes(ids.shape, record)}")
        return None
    numbers, areas, boxes = extents(ids)
    pixels = dict(zip(numbers.tolist(), areas.tolist()))
    if not _is_another_picture(case, ids, pixels, categories, photo, sink):
        if record.id_map is not None:
            _check_mapped(case, pixels, sink)
            ids = relabel(ids, *record.id_map.T)
            numbers, areas, boxes = extents(ids)
            pixels = dict(zip(numbers.tolist(), areas.tolist()))
        else:
            _check_listed(case, pixels, sink)
        _check_areas(case, pixels, sink)
        _check_boxes(case, dict(zip(numbers.tolist(), coco_boxes(boxes).tolist())), sink)
    void = pixels.get(0, 0)
    if void > MUCH_VOID * ids.size:
        sink("much-void", f"{record.file_name}: {100 * void / ids.size:.0f} % void")
    return void


def png_kind(path: Path) -> str:
    """What the header of a file says of its pixels: "8-bit RGB", or "no PNG".

    Raises:
        InputError: the file is empty.
    """
    with path.open("rb") as file:
        head = file.read(COLOR_TYPE + 1)
    if not head:
        raise InputError("it is empty")
    if not head.startswith(PNG_SIGNATURE) or len(head) <= COLOR_TYPE:
        found = next((name for start, name in OTHER_FORMATS.items() if head.startswith(start)), None)
        return f"no PNG but {found}" if found else "no PNG"
    return f"{head[BIT_DEPTH]}-bit {COLOR_TYPES.get(head[COLOR_TYPE], 'of an unknown colour type')}"


def sizes(size: tuple[int, ...], record: ImageRecord) -> str:
    """The size of a file beside that of its annotation, for messages."""
    return f"{size[0]} x {size[1]} (height x width), the annotation says {record.height} x {record.width}"


def _is_another_picture(
    case: Case,
    ids: np.ndarray,
    pixels: dict[int, int],
    categories: tuple[Category, ...],
    photo: np.ndarray | None,
    sink: Sink,
) -> bool:
    """Whether the pixels are no ids of this annotation at all, with the one finding that says what they are."""
    listed = set(_ids_in_file(case.record).tolist())
    unknown = [number for number in pixels if number and number not in listed]
    if not unknown or not case.complete:
        return False
    name, told = case.truth_name, f"{len(unknown)} unknown ids"
    if photo is not None and photo.shape[:2] == ids.shape and np.array_equal(ids_to_rgb(ids), photo):
        sink("png-photo", name)
    elif all(_swapped(number) in listed for number in unknown):
        sink("png-swapped", f"{name}: {unknown[0]} for {_swapped(unknown[0])}")
    elif {*unknown} <= (colors := {_id_of(category.color) for category in categories}):
        sink("png-colors", f"{name}: {len({*pixels} & colors)} colours of categories")
    elif len(unknown) > max(MANY_UNKNOWN, 2 * len(listed)) and _median(pixels, unknown) <= FEW_PIXELS:
        sink("png-blurred", f"{name}: {told}, half of them of at most {_median(pixels, unknown)} pixels")
    else:
        return False
    return True


def _ids_in_file(record: ImageRecord) -> np.ndarray:
    """The ids that the annotation knows, as they stand in the file."""
    return record.segments["id"] if record.id_map is None else record.id_map[:, 0]


def _swapped(number: int) -> int:
    return number >> 16 | number & 0xFF00 | (number & 0xFF) << 16


def _id_of(color: tuple[int, int, int]) -> int:
    return color[0] + 256 * color[1] + 65536 * color[2]


def _median(pixels: dict[int, int], unknown: list[int]) -> int:
    return sorted(pixels[number] for number in unknown)[len(unknown) // 2]


def _check_mapped(case: Case, pixels: dict[int, int], sink: Sink) -> None:
    """Ids of a file whose annotation says what becomes of each."""
    listed = {*_ids_in_file(case.record).tolist()} - {0}
    for number in pixels.keys() - listed - {0}:
        sink("id-unlisted", f"{case.truth_name}: id {number}, {pixels[number]} pixels")
    for number in sorted(listed - pixels.keys()):
        sink("id-absent", f"{case.truth_name}: id {number}")


def _check_listed(case: Case, pixels: dict[int, int], sink: Sink) -> None:
    listed = set(case.record.segments["id"].tolist())
    for number, area in pixels.items():
        # An entry that could not be used was found already; its pixels are no second finding.
        if number and number not in listed and case.complete:
            sink("id-unlisted", f"{case.truth_name}: segment {number}, {area} pixels")
            if area < TINY_AREA:
                sink("tiny", f"{case.truth_name}: segment {number}, {area} pixels")
    for number in case.record.segments["id"].tolist():
        if number not in pixels:
            sink("id-absent", f"{case.truth_name}: segment {number}")


def _check_areas(case: Case, pixels: dict[int, int], sink: Sink) -> None:
    record = case.record
    for number, said in record.segments[["id", "area"]].tolist():
        area = pixels.get(number)
        if area is None:
            continue
        # An area larger than the image was found already, by the JSON alone.
        if case.exact_areas and area != said <= record.height * record.width:
            sink("area-differs", f"{case.truth_name}: segment {number}: area {said:.12g}, {area} pixels")
        if area < TINY_AREA:
            sink("tiny", f"{case.truth_name}: segment {number}, {area} pixels")


def _check_boxes(case: Case, boxes: dict[int, list[int]], sink: Sink) -> None:
    for segment_id, said in zip(case.record.segments["id"].tolist(), case.boxes, strict=True):
        if said is None or segment_id not in boxes:
            continue
        true = boxes[segment_id]
        try:
            box = np.array(said, np.float64)
            right = box.shape == (4,) and bool(np.all(np.abs(box - true) <= BOX_TOLERANCE))
        except (TypeError, ValueError, OverflowError):
            right = False
        if not right:
            difference = f"bbox {reprlib.repr(said)}, pixels {true}"
            sink("bbox-differs", f"{case.truth_name}: segment {segment_id}: {difference}")
