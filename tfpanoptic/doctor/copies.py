"""Files that are copies of others, byte by byte."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

from tfpanoptic.doctor.findings import Findings

# Bytes at the end of a file that tell most files of one size apart.
TAIL = 4096


def find_copies(paths: list[Path], others: Iterable[Path], findings: Findings) -> int:
    """Findings about images that equal an earlier one of `paths`, or one of `others`, byte by byte.

    Returns:
        How many of `paths` equal one of `others`.
    """
    foreign = list(others)
    groups = [[(path, False) for path in paths] + [(path, True) for path in foreign]]
    # Most files differ in size or at their end, and need not be read.
    for key in (_size, _tail, _digest):
        groups = [part for group in groups for part in _split(group, key)]
    shared = 0
    for group in groups:
        own = [path for path, is_foreign in group if not is_foreign]
        for path in own[1:]:
            findings.add("image-copy", f"{path.name} equals {own[0].name}")
        other = next((path for path, is_foreign in group if is_foreign), None)
        for path in own if other is not None else []:
            findings.add("split-copy", f"{path.name} equals {other}")
            shared += 1
    return shared


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
