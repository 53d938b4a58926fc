"""Downloading one large file: with progress, resumed where it broke off."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO

from tfpanoptic.atomic import replace_file
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.progress import progress

# Seconds without a byte after which a transfer has broken off.
TIMEOUT = 60.0
# Seconds before each new try of a transfer that brought nothing.
PAUSES = (1.0, 5.0)
# What a server answers for the moment.
_FOR_NOW = (429, 500, 502, 503, 504)
_MIB = 1 << 20


def download(address: str, path: Path) -> None:
    """Brings the file at `address` to `path`; an older file there is replaced once all is there.

    What came of a broken transfer stays beside it as `.part`, and the next call goes on from there, if the server can
    and still has the same file.

    Raises:
        InputError: no address.
        WorkFailed: the server cannot be reached, refuses or breaks off for good, or there is no room for the file.
    """
    part, pauses = path.with_name(path.name + ".part"), list(PAUSES)
    while True:
        before = _size(part)
        try:
            _transfer(address, part)
            break
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                if error.headers.get("Content-Range") == f"bytes */{before}":
                    break  # all of it was there
                part.unlink()
                continue
            reason = f"the server answers {error.code} ({error.reason})"
            if error.code not in _FOR_NOW:
                raise WorkFailed(f"{address}: {reason}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", None) or error)
        except ValueError as error:
            raise InputError(f"{address}: expected an address ({error})") from None
        if _size(part) > before:
            pauses = list(PAUSES)
        if not pauses:
            raise WorkFailed(_broken(address, part, reason))
        time.sleep(pauses.pop(0))
    os.replace(part, path)
    _tag(part).unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transfer(address: str, part: Path) -> None:
    """Fills `part` to its end, from where it is.

    Raises:
        OSError, http.client.HTTPException: it ended early, or did not begin.
        ValueError: no address.
    """
    start, known = _size(part), _known(part)
    request = urllib.request.Request(address, headers={"User-Agent": "tfpanoptic", "Accept-Encoding": "identity"})
    if start and known:
        request.add_header("Range", f"bytes={start}-")
        # Only of the very same file; else the server sends all of the new one.
        request.add_header("If-Range", known)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        tag = _tag_of(answer)
        if answer.status == http.client.PARTIAL_CONTENT:
            place = answer.headers.get("Content-Range", "")
            if not known or tag != known or not place.startswith(f"bytes {start}-"):
                part.unlink(missing_ok=True)
                raise ConnectionError("the server sent a part of another file")
        else:
            start = 0
            part.unlink(missing_ok=True)
            _tag(part).unlink(missing_ok=True)
            if tag:
                replace_file(_tag(part), tag)
        length = answer.headers.get("Content-Length") or ""
        total = start + int(length) if length.isdecimal() else None
        with _opened(part) as file:
            _copy(answer, file, part, start, total)
    if total is not None and _size(part) != total:
        raise ConnectionError("the connection was closed")


def _opened(part: Path) -> BinaryIO:
    try:
        return part.open("ab")
    except OSError as error:
        raise WorkFailed(f"{part}: cannot be written ({error.strerror})") from None


def _copy(answer: Any, file: BinaryIO, part: Path, start: int, total: int | None) -> None:
    what = part.name.removesuffix(".part")
    with progress(f"{what}, MiB", -(-(total or 0) // _MIB), start // _MIB) as track:
        while chunk := answer.read(_MIB):
            try:
                file.write(chunk)
            except OSError as error:
                raise WorkFailed(f"{part}: cannot be written ({error.strerror})") from None
            track.advance()


def _broken(address: str, part: Path, reason: str) -> str:
    if not part.exists():
        return f"{address}: cannot be reached ({reason})"
    kept = f"{_size(part) / _MIB:.1f} MiB are kept, the same call goes on from there"
    return f"{address}: broke off ({reason}); {kept if _known(part) else 'the server cannot go on from there'}"


def _tag_of(answer: Any) -> str:
    """What tells the server's file from a later one of this address; empty where nothing does."""
    tag = answer.headers.get("ETag") or ""
    # A weak one cannot be asked for.
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified") or ""


def _known(part: Path) -> str:
    """The tag of the file that `part` is the beginning of."""
    tag = _tag(part)
    return tag.read_text(encoding="utf-8") if tag.is_file() else ""


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
