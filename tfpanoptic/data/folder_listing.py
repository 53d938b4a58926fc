"""Which files exist: every folder is listed once, which is fast for 100,000 files; links to folders are followed."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

from tfpanoptic.errors import InputError

IMAGE_SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")


def files_below(folder: Path, *patterns: str) -> list[Path]:
    """The files in a folder and in those below it whose names match a pattern, sorted.

    Links to folders are followed, each folder once.

    Raises:
        InputError: the folder or one below it cannot be read, which `Path.rglob` would pass over.
    """

    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot list this folder ({error.strerror})")

    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        folders.sort()
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder that lies here, too, or above
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place) / name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
    return sorted(found)


def images_below(folder: Path) -> list[Path]:
    """The files below a folder that are named as images are.

    Raises:
        InputError: as `files_below`.
    """
    return [path for path in files_below(folder, "*") if path.suffix.lower() in IMAGE_SUFFIXES]


def is_image_file(path: Path) -> bool:
    """Whether an existing file, or what a link leads to, is named as an image of any kind that Pillow knows."""
    if not path.is_file():
        return False
    from PIL import Image

    known = {*IMAGE_SUFFIXES, *Image.registered_extensions()}
    return any(place.suffix.lower() in known for place in (path, path.resolve()))


class FolderListing:
    """The names in folders, each listed when it is first asked for."""

    def __init__(self) -> None:
        self._names: dict[Path, set[str]] = {}
        self._errors: dict[Path, str] = {}

    def names(self, folder: Path) -> set[str]:
        """The names in a folder; none where it cannot be listed."""
        if folder not in self._names:
            self._names[folder] = set()
            try:
                self._names[folder] = set(os.listdir(folder))
            except OSError as error:
                self._errors[folder] = f"cannot list this folder ({error.strerror})"
            except ValueError as error:
                self._errors[folder] = f"no name of a folder ({error})"
        return self._names[folder]

    def has(self, path: Path) -> bool:
        """Whether a file exists."""
        return path.name in self.names(path.parent)

    def require(self, path: Path, origin: Path) -> Path:
        """The path, if it exists.

        Args:
            path: a file.
            origin: the file that lists it, for messages.

        Raises:
            InputError: no such file, or its folder cannot be listed.
        """
        if not self.has(path):
            if path.parent in self._errors:
                raise InputError(f"{path.parent}: {self._errors[path.parent]}")
            raise InputError(f"{path}: no such file, but {origin} lists it")
        return path
