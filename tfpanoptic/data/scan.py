"""What many maps hold, found by decoding each once, and kept in the cache: the next start opens none of them."""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from tfpanoptic.atomic import replace_file
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import extents
from tfpanoptic.settings.cache_folder import cache_folder

# Part of the key: raise it whenever what is kept changes.
VERSION = 1
# Own choice: decoding PNGs in more threads gains nothing, and each holds a map of full size.
MOST_THREADS = 8


class MapContents(NamedTuple):
    """What one map holds.

    Attributes:
        size: (height, width) in pixels.
        values: int32 `[N]`, those that occur, ascending.
        areas: int64 `[N]`, pixels of each.
    """

    size: tuple[int, int]
    values: np.ndarray
    areas: np.ndarray


def scan_maps(paths: Sequence[Path], read: Callable[[Path], np.ndarray], what: str) -> list[MapContents]:
    """What each of some maps holds.

    It is kept under a key of the paths, sizes and modification times of the files and of `what`; where all of them are
    as they were, none is opened. A cache that cannot be written is told on standard error, and the work is done.

    Args:
        paths: the files.
        read: a file -> integers `[H, W]`, all within int32; it raises `InputError`.
        what: the kind of values and how `read` makes them, for the key and for the progress.

    Raises:
        InputError: a file is missing, or what `read` raises, for the first file in the order of `paths`.
    """
    if not paths:
        return []
    kept = _place(paths, what)
    contents = _kept_contents(kept, len(paths)) if kept is not None else None
    if contents is None:
        contents = _read_all(paths, read, what)
        if kept is not None:
            _keep(kept, contents)
    return contents


def _place(paths: Sequence[Path], what: str) -> Path | None:
    """Where the contents of these files are kept; None without a cache folder."""
    digest = hashlib.sha256(f"{VERSION}\n{what}\n".encode())
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        digest.update(f"{os.path.abspath(path)}\n{status.st_size} {status.st_mtime_ns}\n".encode(errors="replace"))
    try:
        return cache_folder() / "scans" / f"{digest.hexdigest()[:32]}.npz"
    except InputError:
        return None


def _read_all(paths: Sequence[Path], read: Callable[[Path], np.ndarray], what: str) -> list[MapContents]:
    def contents(path: Path) -> MapContents:
        pixels = read(path)
        values, areas, _ = extents(pixels)
        return MapContents((pixels.shape[0], pixels.shape[1]), values.astype(np.int32), areas)

    found = []
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads, progress(what, len(paths)) as track:
        # Where one fails, `map` cancels those that wait.
        for each in threads.map(contents, paths):
            found.append(each)
            track.advance()
    return found


def _kept_contents(kept: Path, count: int) -> list[MapContents] | None:
    """What is in a file of the cache; None where there is none, or a damaged one."""
    try:
        with np.load(kept) as arrays:
            sizes, counts, values, areas = (arrays[name] for name in ("sizes", "counts", "values", "areas"))
        ends = np.cumsum(counts)[:-1]
        if sizes.shape != (count, 2) or len(counts) != count or not len(values) == len(areas) == counts.sum():
            return None
        parts = zip(sizes.tolist(), np.split(values, ends), np.split(areas, ends), strict=True)
        return [MapContents((height, width), own, pixels) for (height, width), own, pixels in parts]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None


def _keep(kept: Path, contents: Sequence[MapContents]) -> None:
    file = BytesIO()
    np.savez_compressed(
        file,
        sizes=np.array([each.size for each in contents], np.int32),
        counts=np.array([len(each.values) for each in contents], np.int64),
        values=np.concatenate([each.values for each in contents]),
        areas=np.concatenate([each.areas for each in contents]),
    )
    try:
        replace_file(kept, file.getvalue())
    except (InputError, WorkFailed) as error:
        print(f"the next start will read these files again: {error}", file=sys.stderr)
