"""Writing that leaves nothing half-written: to a temporary name beside the target, then renamed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tfpanoptic.errors import InputError, unwritten

# So many at the start of a file are searched for the mark of its kind.
_MARKED_BYTES = 1024


def replace_file(path: str | Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8; an older one stays until the new one is complete.

    A link stays one, to the new file; a device or a pipe is written to.

    Raises:
        InputError: the folder cannot be written to.
        WorkFailed: the disk is full.
    """
    path = Path(path)
    require_file_place(path)
    content = content.encode() if isinstance(content, str) else content
    if path.is_file():
        path = path.resolve()
    temporary = temporary_of(path)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritten(path, error) from None


def require_file_place(path: str | Path) -> None:
    """Checks that a file can be at `path`: to be asked before the work that fills it.

    Raises:
        InputError: a folder is there, or one of its parents is a file.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected a file to write")
    _require_folders(path.parent)
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not os.access(there, os.W_OK):
        raise InputError(f"{path}: cannot be written, no permission for {there}")


def require_unread(outputs: Iterable[str | Path], read: Iterable[str | Path], work: str = "command") -> None:
    """Checks that no file to be written is one that is read, under whatever name: a link, a hard link, with `..`.

    Args:
        outputs: files to be written; those that do not exist yet replace nothing.
        read: files; what is no file is passed over. It is only gone through if an output exists.
        work: what reads them, for the message.

    Raises:
        InputError: an output is read.
    """
    there = {_identity(place): path for path in outputs for place in (path, temporary_of(Path(path)))}
    there.pop(None, None)
    for place in read if there else ():
        identity = _identity(place)
        if identity in there:
            raise InputError(f"{there[identity]}: is read by this {work}; expected another file to write")


def require_older(path: str | Path, mark: str) -> None:
    """Checks that a file to be written replaces nothing but an older one of its kind; an empty one is nothing.

    Args:
        path: the file.
        mark: stands within the first bytes of its kind.

    Raises:
        InputError: another file is there, or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(_MARKED_BYTES)
    except OSError as error:
        raise InputError(f"{path}: exists and cannot be read ({error.strerror}); expected another file") from None
    if head and mark.encode() not in head:
        raise InputError(f"{path}: exists and was not written by this command; expected another file to write")


def require_outside(folder: str | Path, read: Iterable[str | Path]) -> None:
    """Checks that nothing that is read lies in a folder that will be replaced.

    Raises:
        InputError: it does.
    """
    replaced = [Path(folder).resolve(), temporary_of(Path(folder).resolve())]
    for path in map(Path, read):
        for place in (path.parent.resolve() / path.name, path.resolve()):
            if any(place.is_relative_to(each) for each in replaced):
                raise InputError(f"{path}: is read by this command; expected another folder to write than {folder}")


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What tells a file from others, whatever its name; None for what is no file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def temporary_of(path: Path) -> Path:
    """Where a file or folder is written before it is complete."""
    return path.with_name(path.name + ".writing")


def _require_folders(path: Path) -> None:
    for folder in (path, *path.parents):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file; expected a folder to write in")


@contextmanager
def new_folder(path: str | Path, contents: Collection[str], overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `path` at the end, or disappears if the work fails.

    Args:
        path: the folder to make.
        contents: names that a folder of this kind may hold; only such a folder is ever replaced.
        overwrite: replace an older one.

    Raises:
        InputError: as `require_free`, or the folder cannot be made.
    """
    path = Path(path).resolve()
    require_free(path, contents, overwrite)
    temporary = temporary_of(path)
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


def require_free(path: str | Path, contents: Collection[str], overwrite: bool = False) -> None:
    """Checks that a folder may be written.

    Raises:
        InputError: it is a file; it holds anything but `contents`; or it holds those and `overwrite` is False.
    """
    path = Path(path)
    if path.is_file():
        raise InputError(f"{path}: is a file; expected a folder to write")
    _require_folders(path.parent)
    if not path.is_dir():
        return
    found = sorted(entry.name for entry in path.iterdir())
    foreign = [name for name in found if name not in contents]
    if foreign:
        raise InputError(f"{path}: exists and holds something else ({foreign[0]}); expected a new or empty folder")
    if found and not overwrite:
        raise InputError(f"{path}: exists already; give --overwrite (overwrite=True) to replace it")
