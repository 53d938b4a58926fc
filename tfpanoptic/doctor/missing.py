"""Files that a JSON lists and that are not there, and what is there in their place."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tfpanoptic.data.coco_json import ImageEntry
from tfpanoptic.data.folder_listing import IMAGE_SUFFIXES, FolderListing
from tfpanoptic.doctor.findings import Findings


class Folder:
    """A folder of photos or PNGs whose files a JSON names."""

    def __init__(self, path: Path, listing: FolderListing):
        self.path, self._listing = path, listing
        self._by_key: dict[str, str] | None = None

    def present(self, entries: list[ImageEntry], attribute: str, code: str, findings: Findings) -> set[str]:
        """The names whose files exist; a finding for each other one, or one for a folder that is missing altogether.

        Args:
            entries: the images.
            attribute: what holds the name, `file_name` or `png_name`.
            code: of the finding about a missing file.
            findings: gets the findings.
        """
        if not self.path.is_dir():
            findings.add("folder-missing", str(self.path))
            return set()
        present = set()
        for entry in entries:
            name = getattr(entry, attribute)
            if PurePosixPath(name).is_absolute():
                findings.add("name-absolute", name, entry.file_name)
            told = self._fault(name)
            if told is None:
                present.add(name)
            else:
                findings.add(code, f"{name}{told}", entry.file_name)
        return present

    def unlisted(self, listed: set[str], others: set[str], findings: Findings) -> None:
        """Findings about photos in the folder that nobody lists, of the kinds of file that are listed.

        Args:
            listed: names that the JSON lists.
            others: names that the JSON of the other split lists in this folder.
            findings: gets the findings.
        """
        suffixes = {PurePosixPath(name).suffix.lower() for name in listed}
        for name in sorted(self._listing.names(self.path) - listed - others):
            if PurePosixPath(name).suffix.lower() in suffixes:
                findings.add("unlisted-file", name)

    def _fault(self, name: str) -> str | None:
        """Why a file cannot be found; None for one that is there, "" where nothing is known."""
        path = self.path / name
        if not self._listing.has(path):
            found = self._instead(name)
            return "" if found is None else f", but {found} is there"
        if path.is_symlink() and not path.exists():
            return f", a link to {path.readlink()}, which is not there"
        return None

    def _instead(self, name: str) -> str | None:
        """A file of the folder whose name differs in case, folders or the kind of image alone."""
        if self._by_key is None:
            names = sorted(self._listing.names(self.path))
            self._by_key = {_key(other): other for other in reversed(names)}
        if "\\" in name:
            turned = name.replace("\\", "/")
            if self._listing.has(self.path / turned):
                return turned
        return self._by_key.get(_key(name))


def _key(name: str) -> str:
    """A name without folders, case and the suffix of an image."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    stem, dot, suffix = base.rpartition(".")
    return stem if dot and f".{suffix}" in IMAGE_SUFFIXES else base
