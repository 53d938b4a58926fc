"""Writing that leaves nothing half-written: to a temporary name beside the target, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfpanoptic.errors import InputError


def replace_file(path: str | Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8; an older one stays until the new one is complete.

    Raises:
        InputError: the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


@contextmanager
def new_folder(path: str | Path, marker: str, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `path` at the end, or disappears if the work fails.

    Args:
        path: the folder to make.
        marker: a file that every folder of this kind holds; only such a folder is ever replaced.
        overwrite: replace an older one.

    Raises:
        InputError: as `require_free`, or the folder cannot be made.
    """
    path = Path(path)
    require_free(path, marker, overwrite)
    temporary = path.with_name(path.name + ".writing")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path)
    os.replace(temporary, path)


def require_free(path: str | Path, marker: str, overwrite: bool = False) -> None:
    """Checks that a folder may be written.

    Raises:
        InputError: it is a file, or it holds something and `overwrite` is False, or something other
            than what `overwrite` may replace: a folder with the file `marker` in it.
    """
    path = Path(path)
    if path.is_file():
        raise InputError(f"{path}: is a file; expected a folder to write")
    if path.is_dir() and any(path.iterdir()):
        if not (path / marker).is_file():
            raise InputError(f"{path}: exists and holds something else (no {marker}); expected a new or empty folder")
        if not overwrite:
            raise InputError(f"{path}: exists already; give --overwrite to replace it")
