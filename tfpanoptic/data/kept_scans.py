"""Values that are slow to compute from files, kept in the user's cache as long as the files stay the same."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfpanoptic.atomic import replace_file
from tfpanoptic.data.coco_json import parse_json
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.settings.cache_folder import cache_folder


def cached(parts: Sequence[Any], compute: Callable[[], Any]) -> Any:
    """The value that belongs to a key: out of the cache, or computed and kept.

    A cache that cannot be written is named on standard error, and the value is computed each time.

    Args:
        parts: the key, of values whose `repr` tells them apart: what is computed, its version, `file_key` of each file.
        compute: the value, of JSON's types.
    """
    kept = find(parts)
    if kept is not None:
        return kept
    value = compute()
    path = _path(parts)
    if path is not None:
        try:
            replace_file(path, json.dumps({"key": repr(tuple(parts)), "value": value}))
        except (InputError, WorkFailed) as error:
            print(f"the next start will read these files again: {error}", file=sys.stderr)
    return value


def find(parts: Sequence[Any]) -> Any:
    """The value in the cache; None where there is none."""
    path = _path(parts)
    if path is None or not path.is_file():
        return None
    try:
        content = parse_json(path)
    except InputError:
        return None
    same = isinstance(content, dict) and content.get("key") == repr(tuple(parts))
    return content.get("value") if same else None


def file_key(path: Path) -> tuple[str, int, int]:
    """What tells a file from another one and from its own earlier content: path, bytes and time of the last change.

    Raises:
        InputError: it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return os.path.abspath(path), status.st_size, status.st_mtime_ns


def _path(parts: Sequence[Any]) -> Path | None:
    """Where a value lies; None for a user without a home."""
    try:
        return cache_folder() / "scans" / f"{hashlib.sha256(repr(tuple(parts)).encode()).hexdigest()[:32]}.json"
    except InputError:
        return None
