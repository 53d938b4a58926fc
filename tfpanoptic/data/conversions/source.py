"""What the reader of another format yields: images with truth, not yet read, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap

OVERLAPS = ("smaller", "later")


@dataclass(frozen=True, eq=False)
class Scene:
    """One image with truth.

    Attributes:
        file_name: of the photo, below the folder of photos; parts are parted by `/`.
        photo: the file, or what gives its bytes.
        entry: what the list `images` says of it beside its name and size.
        read: the truth, in pixels of the photo as it is upright, or as it is stored; what is lost goes to the tally.
            It raises `InputError`.
    """

    file_name: str
    photo: Path | Callable[[], bytes]
    entry: dict[str, Any]
    read: Callable[[Tally], SegmentMap]


@dataclass(frozen=True, eq=False)
class Source:
    """A set in another format.

    Attributes:
        categories: of the truth.
        entries: the list `categories` to write; None for that of the table.
        scenes: the images, in the order in which they are written.
        tally: what was lost when their list was made.
        read: files and folders that are read, which no output may replace.
        extra: more keys of the JSON, such as `info` and `licenses`.
    """

    categories: CategoryTable
    scenes: Sequence[Scene]
    tally: Tally
    read: Sequence[Path]
    entries: list[dict[str, Any]] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConversionOptions:
    """What a person may say beside the kind and where the source is; each kind takes some of it.

    Attributes:
        images: folder of the photos.
        panoptic: folder of the PNGs of a panoptic JSON.
        categories: file of categories.
        stuff: names of the categories that are stuff.
        rest: name of a stuff category for the pixels that are nothing else.
        overlap: which object is on top, one of `OVERLAPS`.
        stuff_maps: folder of maps of stuff.
        stuff_categories: file of their categories.
        stuff_offset: what is added to a value of theirs to make it a category id.
        void: values of maps that are void.
        instances: folder of instance maps.
        instance_only: name of the only category, of maps that hold instance numbers alone.
        components: whether instances are connected components.
        crowd: instance number of crowds.
        no_crowds: take crowds for single objects.
        split: which part of the set.
    """

    images: Path | None = None
    panoptic: Path | None = None
    categories: Path | None = None
    stuff: tuple[str, ...] = ()
    rest: str | None = None
    overlap: str | None = None
    stuff_maps: Path | None = None
    stuff_categories: Path | None = None
    stuff_offset: int | None = None
    void: tuple[int, ...] = ()
    instances: Path | None = None
    instance_only: str | None = None
    components: bool = False
    crowd: int | None = None
    no_crowds: bool = False
    split: str | None = None

    def given(self) -> dict[str, Any]:
        """Those that were given, by name."""
        return {
            name: value
            for name, value in vars(self).items()
            if value is not None and value is not False and value != ()
        }


def safe_name(file_name: str) -> str:
    """A file name that stays below the folder it is joined to; what leads out of it is cut to the last part.

    Backslashes of Windows part it, too.

    Raises:
        InputError: it names no file.
    """
    path = PurePosixPath(file_name.replace("\\", "/"))
    if not path.name or path.name == "..":
        raise InputError(f"{file_name!r} names no file; expected the name of a photo")
    outside = path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
    return path.name if outside else str(path)


def find_photo(file_name: str, folder: Path, listing: FolderListing) -> Path:
    """Where a photo is: below the folder as it is named, or in it by the last part of its name alone.

    It need not exist.
    """
    named = folder / file_name.replace("\\", "/")
    alone = folder / named.name
    return alone if not listing.has(named) and listing.has(alone) else named


def require_folder(path: Path, expected: str) -> Path:
    """The path, if a folder is there.

    Raises:
        InputError: there is none.
    """
    if not path.is_dir():
        raise InputError(f"{path}: {'is a file' if path.exists() else 'no such folder'}; expected {expected}")
    return path
