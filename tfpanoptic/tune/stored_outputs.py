"""The outputs of a network for many images: in memory up to a budget, and beyond it in a temporary file."""

from __future__ import annotations

import shutil
import tempfile
from typing import IO

import numpy as np

from tfpanoptic.errors import WorkFailed, unwritten

GB = 10**9


class StoredOutputs:
    """A list of dicts of arrays, each as it was given, bit for bit. The file has no name and ends with the process.

    Args:
        budget: bytes of arrays that may stay in memory.
    """

    def __init__(self, budget: float):
        self._budget = budget
        self._used = 0
        self._entries: list[dict[str, np.ndarray | _Place]] = []
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes the arrays of one more image.

        Raises:
            WorkFailed: the temporary file cannot be written.
        """
        size = size_of(arrays)
        if self._used + size <= self._budget:
            self._used += size
            self._entries.append(dict(arrays))
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            self._entries.append({name: self._write(array, self._file) for name, array in arrays.items()})
        except OSError as error:
            raise unwritten(f"temporary file in {tempfile.gettempdir()}", error) from None

    def __getitem__(self, place: int) -> dict[str, np.ndarray]:
        return {
            name: self._read(kept) if isinstance(kept, _Place) else kept for name, kept in self._entries[place].items()
        }

    def announce(self, arrays: dict[str, np.ndarray], images: int) -> str:
        """The line that says where so many images' outputs will be, if those of each are as large as these.

        Raises:
            WorkFailed: the disk has no room for them.
        """
        needed = size_of(arrays) * images
        beyond = max(0.0, needed - self._budget)
        if not beyond:
            return f"outputs of {images} images: about {needed / GB:.2g} GB, in memory"
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if beyond > free:
            raise WorkFailed(
                f"{folder}: {beyond / GB:.1f} GB are needed for the outputs of {images} images, {free / GB:.1f} GB are "
                "free; --limit takes fewer images, --memory keeps more in memory, TMPDIR names another folder"
            )
        return (
            f"outputs of {images} images: about {needed / GB:.2g} GB, of which {beyond / GB:.2g} GB in a temporary "
            f"file in {folder} (--memory and --limit change that)"
        )

    def _write(self, array: np.ndarray, file: IO[bytes]) -> _Place:
        start = file.seek(0, 2)
        array = np.ascontiguousarray(array)
        rest = memoryview(array.reshape(-1).view(np.uint8).data)
        while rest:  # a system call writes 2 GB at most
            rest = rest[file.write(rest) :]
        return _Place(start, array.dtype, array.shape)

    def _read(self, place: _Place) -> np.ndarray:
        assert self._file is not None
        self._file.seek(place.start)
        count = int(np.prod(place.shape))
        return np.fromfile(self._file, place.dtype, count).reshape(place.shape)


class _Place:
    """Where an array is in the file."""

    def __init__(self, start: int, dtype: np.dtype, shape: tuple[int, ...]):
        self.start, self.dtype, self.shape = start, dtype, shape


def size_of(arrays: dict[str, np.ndarray]) -> int:
    """Bytes of some arrays."""
    return sum(array.nbytes for array in arrays.values())
