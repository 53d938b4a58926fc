"""A dataset written as records on one machine: resumed where it was killed, by one process at a time."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from tfpanoptic.atomic import replace_file, require_free, temporary_of
from tfpanoptic.data.coco_json import parse_json
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.records.manifest import ANNOTATIONS, MANIFEST, Manifest, combine, read_manifest, require_whole
from tfpanoptic.data.records.shard import finished_shard, shard_name, shard_range, shard_source, write_shard
from tfpanoptic.errors import InputError, WorkFailed, unwritten
from tfpanoptic.progress import progress

# Own choice: a file of COCO's training part has 1.3 GB in 16 shards.
SHARDS = 16
PLAN, LOCK = "writing.json", "writing.lock"
_HINT = "give --overwrite to write all of them again, or another --out"


def write_records(
    dataset: Dataset, folder: Path, shards: int | None = None, workers: int = 1, overwrite: bool = False
) -> Manifest:
    """Writes a dataset as records, or what is left of it.

    The files are the same whatever `workers` is, and whether the work was interrupted.

    Args:
        dataset: the images.
        folder: where to; new, empty, or with the records of the same dataset and as many shards.
        shards: how many files; see `shard_count`.
        workers: shards written at a time, in threads.
        overwrite: begin again where the folder holds other records.

    Raises:
        InputError: another process writes there; the folder holds something else; there are more shards than images;
            or an image or its truth cannot be used. Shards that are finished stay.
        WorkFailed: the disk is full.
    """
    shards = shard_count(dataset, shards)
    with alone_in(folder):
        left = prepare(dataset, folder, shards, overwrite)
        if left:
            _write_shards(dataset, folder, left, shards, workers)
        return finish(dataset, folder, shards)


def shard_count(dataset: Dataset, shards: int | None) -> int:
    """How many shards a dataset is written to; None leaves the choice: `SHARDS`, or one an image of a smaller one.

    Raises:
        InputError: a shard would be empty.
    """
    if shards is None:
        return min(SHARDS, len(dataset))
    if not 1 <= shards <= len(dataset):
        raise InputError(f"--shards must be 1 to the number of images, {len(dataset)}, found {shards}")
    return shards


def prepare(dataset: Dataset, folder: Path, shards: int, overwrite: bool) -> list[int]:
    """The numbers of the shards that are left to write; the folder is made ready for them.

    Raises:
        InputError: the folder holds something else, or records of other data or in another number of shards.
        WorkFailed: there is too little space.
    """
    known = any((folder / name).is_file() for name in (MANIFEST, PLAN))
    if overwrite or not known:
        _clear(folder, known, shards)
    finished = _finished(folder, shards)
    left, needed = [], 0
    for number in range(shards):
        source, size = shard_source(dataset, number, shards)
        if number not in finished:
            left.append(number)
            needed += size
        elif finished[number] != source:
            name = shard_name(number, shards)
            raise InputError(f"{folder / name}: holds other data, or the data have changed since; {_HINT}")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WorkFailed(f"{folder}: no space, {needed} bytes are left to write and {free} are free")
    return left


def _finished(folder: Path, shards: int) -> dict[int, str]:
    """The numbers of the shards that are there, whole, and what each was made from."""
    if not (folder / MANIFEST).is_file():
        plan = parse_json(folder / PLAN)
        _require_as_many(folder, plan.get("shards") if isinstance(plan, dict) else None, shards)
        notes = {number: finished_shard(folder, number, shards) for number in range(shards)}
        return {number: note["source"] for number, note in notes.items() if note is not None}
    manifest = read_manifest(folder)
    _require_as_many(folder, len(manifest.shards), shards)
    require_whole(folder, manifest)
    return {number: shard.source for number, shard in enumerate(manifest.shards)}


def _require_as_many(folder: Path, found: object, wanted: int) -> None:
    if found != wanted:
        raise InputError(f"{folder}: holds records in {found} shards, expected {wanted}; {_HINT}")


def _clear(folder: Path, known: bool, shards: int) -> None:
    """Removes the records in a folder and says that others will be written; `known`, whether it holds records.

    Raises:
        InputError: it holds something else.
    """
    records = {MANIFEST, *(path.name for path in folder.glob("shard-*-of-*.tfrecord*"))}
    records |= {temporary_of(Path(name)).name for name in (MANIFEST, ANNOTATIONS, PLAN)}
    if known:  # else the annotation is that of a dataset
        records.add(ANNOTATIONS)
    require_free(folder, {*records, PLAN, LOCK}, overwrite=True)
    replace_file(folder / PLAN, json.dumps({"shards": shards}))
    for name in sorted(records, key=lambda name: name != MANIFEST):  # what says that the folder is whole goes first
        (folder / name).unlink(missing_ok=True)


def finish(dataset: Dataset, folder: Path, shards: int) -> Manifest:
    """The manifest of a folder whose shards are written; it is written if it is not there."""
    if not (folder / MANIFEST).is_file():
        combine(folder, dataset.categories, shards)
    (folder / PLAN).unlink(missing_ok=True)
    return read_manifest(folder)


def _write_shards(dataset: Dataset, folder: Path, left: list[int], shards: int, workers: int) -> None:
    """Writes some shards; at the first failure no further image is begun."""
    images = sum(len(shard_range(number, shards, len(dataset))) for number in left)
    lock, stop = threading.Lock(), threading.Event()
    with progress("records", len(dataset), len(dataset) - images) as track:

        def done() -> None:
            with lock:
                track.advance()
            if stop.is_set():
                raise _Stopped

        def write(number: int) -> None:
            try:
                if not stop.is_set():
                    write_shard(dataset, folder, number, shards, done)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(workers) as pool:
            works = [pool.submit(write, number) for number in left]
            try:
                wait(works, return_when=FIRST_EXCEPTION)
            finally:  # an interruption from the keyboard as well
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
    failed = [work.exception() for work in works if not work.cancelled() and work.exception() is not None]
    for error in failed:
        if error is not None and not isinstance(error, _Stopped):
            raise error


class _Stopped(Exception):
    """Another shard has failed."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One process at a time writes into a folder, which is made.

    Raises:
        InputError: another process does, or the folder cannot be made.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file; expected a folder to write")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("wb")
    except OSError as error:
        raise unwritten(folder, error) from None
    with file:
        if not _is_locked(file, folder / LOCK):
            raise InputError(f"{folder}: another process writes here; expected a folder of its own")
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)


def _is_locked(file: BinaryIO, path: Path) -> bool:
    """Whether this process alone has the lock; where the system has none, it is taken for granted."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # One that ended in between has removed the file: the next process would lock another one.
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
