"""Which files exist: every folder is listed once, which is fast for 100,000 files."""

from __future__ import annotations

import os
from pathlib import Path

from tfpanoptic.errors import InputError


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
