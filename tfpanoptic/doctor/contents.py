"""What is in one split: its categories and images as its JSON or its reader gives them, before any pixel is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfpanoptic.categories import Category
from tfpanoptic.data.coco_panoptic import CocoFiles, image_record
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.doctor.entries import check_kinds, read_entries
from tfpanoptic.doctor.findings import Findings
from tfpanoptic.doctor.missing import Folder
from tfpanoptic.doctor.truth_file import Case
from tfpanoptic.errors import InputError


@dataclass(frozen=True)
class Contents:
    """One split that can be used, but for its findings.

    Attributes:
        categories: in the order of their ids.
        cases: the images.
        folder: that of the photos, None where they lie anywhere.
    """

    categories: tuple[Category, ...]
    cases: list[Case]
    folder: Folder | None = None

    @property
    def records(self) -> list[ImageRecord]:
        """The images."""
        return [case.record for case in self.cases]

    def photos(self) -> list[Path]:
        """The files of photos that exist."""
        in_files = (case for case in self.cases if case.has_photo and case.record.storage.image_feature is None)
        return [case.record.image_path for case in in_files]


def contents_of_files(files: CocoFiles, findings: Findings) -> Contents | None:
    """What a panoptic JSON lists; None, with findings, where it is none."""
    usable = read_entries(files.annotations, findings)
    if usable is None:
        return None
    categories, entries = usable
    listing = FolderListing()
    images, panoptic = Folder(files.images, listing), Folder(files.panoptic, listing)
    photos = images.present(entries, "file_name", "image-missing", findings)
    truths = panoptic.present(entries, "png_name", "png-missing", findings)
    cases = []
    for entry in entries:
        check_kinds(entry, categories, findings)
        record = image_record(entry, files.images / entry.file_name, files.panoptic / entry.png_name)
        has_photo, has_truth = entry.file_name in photos, entry.png_name in truths
        cases.append(Case(record, entry.png_name, entry.boxes, entry.complete, has_photo, has_truth))
        if entry.complete and not len(entry.segments):
            findings.add("no-segment", entry.file_name, entry.file_name)
    return Contents(categories, cases, images)


def contents_of_dataset(load: Callable[[], Dataset], findings: Findings) -> Contents | None:
    """What a reader of data in other forms gives; None, with a finding, where it stops."""
    try:
        dataset = load()
    except InputError as error:
        findings.add("data-unreadable", str(error))
        return None
    categories = tuple(dataset.categories)
    listing = FolderListing()
    cases = []
    for record in dataset.records:
        check_kinds(record, categories, findings)
        name = record.file_name
        has_photo, has_truth = (listing.has(path) for path in (record.image_path, record.panoptic_path))
        for there, path, code in (
            (has_photo, record.image_path, "image-missing"),
            (has_truth, record.panoptic_path, "png-missing"),
        ):
            if not there:
                findings.add(code, str(path), name)
        pixels = record.height * record.width
        for number, area in record.segments[["id", "area"]].tolist():
            if area > pixels:  # of others the pixels tell
                findings.add("area-differs", f"{name}: segment {number}: area {area:.12g} of {pixels} pixels", name)
        truth_name = record.panoptic_path.name if record.storage.image_feature is None else name
        boxes = [None] * len(record.segments)
        cases.append(Case(record, truth_name, boxes, True, has_photo, has_truth, dataset.exact_areas))
        if not len(record.segments):
            findings.add("no-segment", name, name)
    return Contents(categories, cases)
