"""What many maps hold, found by decoding each once, and kept in the cache: the next start opens none of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfpanoptic.data.kept_scans import cached, file_key
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import extents
from tfpanoptic.threads import in_order

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
    """What each of some maps holds; where all files are as they were, none is opened.

    Args:
        paths: the files.
        read: a file -> integers `[H, W]`, all within int32; it raises `InputError`.
        what: the kind of values and how `read` makes them, for the key and for the progress.

    Raises:
        InputError: a file is missing, or what `read` raises, for the first file in the order of `paths`.
    """
    if not paths:
        return []
    key = ("maps", VERSION, what, *map(file_key, paths))
    return [_contents(entry) for entry in cached(key, lambda: _read_all(paths, read, what))]


def _contents(entry: list[Any]) -> MapContents:
    (height, width), values, areas = entry
    return MapContents((height, width), np.array(values, np.int32), np.array(areas, np.int64))


def _read_all(paths: Sequence[Path], read: Callable[[Path], np.ndarray], what: str) -> list[Any]:
    """Size, values and areas of each map."""

    def contents(path: Path) -> list[Any]:
        values, areas, _ = extents(pixels := read(path))
        return [list(pixels.shape), values.tolist(), areas.tolist()]

    found = []
    workers = min(MOST_THREADS, os.cpu_count() or 1)
    with closing(in_order(contents, paths, workers)) as results, progress(what, len(paths)) as track:
        for each in results:
            found.append(each)
            track.advance()
    return found
