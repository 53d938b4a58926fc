"""Downloading one large file: with progress, resumed where it broke off, and the same file every time."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tfpanoptic.atomic import replace_file
from tfpanoptic.errors import WorkFailed
from tfpanoptic.progress import progress

# Seconds without a byte after which a transfer has broken off.
TIMEOUT = 60.0
# A transfer that brings nothing is tried again this often in a row.
TRIES = 3
_CHUNK = 1 << 20


def download(address: str, path: Path, timeout: float = TIMEOUT) -> str:
    """Brings the file at `address` to `path` and gives its SHA-256.

    What came of a broken transfer stays beside it as `.part`, and the next call goes on from there, if the server can
    and still has the same file.

    Args:
        address: http, https or file.
        path: where to; an older file there is replaced once all is there.
        timeout: seconds without a byte after which the transfer has broken off.

    Raises:
        WorkFailed: the server cannot be reached, refuses, or breaks off for good.
    """
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    tries = TRIES
    while True:
        before = _size(part)
        try:
            _transfer(address, part, timeout)
            break
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                part.unlink()  # what is there is no beginning of the server's file
                continue
            raise WorkFailed(f"{address}: the server answers {error.code} ({error.reason})") from None
        except (OSError, http.client.HTTPException) as error:
            tries = TRIES if _size(part) > before else tries - 1
            if not tries:
                raise WorkFailed(_broken(address, part, error)) from None
    os.replace(part, path)
    _tag(part).unlink(missing_ok=True)
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transfer(address: str, part: Path, timeout: float) -> None:
    """Fills `part` to its end, from where it is.

    Raises:
        OSError, http.client.HTTPException: it ended early, or did not begin.
    """
    tag = _tag(part)
    start = _size(part)
    request = urllib.request.Request(address, headers={"User-Agent": "tfpanoptic", "Accept-Encoding": "identity"})
    if start and tag.is_file():
        request.add_header("Range", f"bytes={start}-")
        # Only of the very same file; else the server sends all of the new one.
        request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT
        start = start if resumed else 0
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        tag.unlink(missing_ok=True)
        if mark:
            replace_file(tag, mark)
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            _copy(answer.read, file.write, part.name.removesuffix(".part"), start, total)
    if total is not None and _size(part) < total:
        raise ConnectionError("the connection was closed")


def _copy(read: Callable, write: Callable, what: str, start: int, total: int | None) -> None:
    with progress(f"{what}, MiB", (total or 0) // _CHUNK, start // _CHUNK) as track:
        while chunk := read(_CHUNK):
            write(chunk)
            track.advance()


def _broken(address: str, part: Path, error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if part.exists():
        kept = f"{_size(part) / _CHUNK:.1f} MiB are kept, the same call goes on from there"
        return f"{address}: broke off ({reason}); {kept}"
    return f"{address}: cannot be reached ({reason})"


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def copy_local(source: Path, path: Path) -> str:
    """Copies a file of this machine instead, and gives its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    return sha256_of(path)
