"""One shard: which images it holds, how it is written, and the note beside it that says it is whole.

Workers on one machine and of Apache Beam call `write_shard`, so that both write the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfpanoptic.atomic import replace_file, temporary_of
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.records.schema import VERSION, entries_of, example_bytes, read_parts
from tfpanoptic.data.shards import FRAME
from tfpanoptic.errors import InputError, WorkFailed, first_line, unwritten


def shard_name(number: int, shards: int) -> str:
    """The file name of a shard."""
    return f"shard-{number:05d}-of-{shards:05d}.tfrecord"


def shard_range(number: int, shards: int, images: int) -> range:
    """The positions in the dataset of a shard's images: one after the other, the shards of equal length but for one."""
    return range(number * images // shards, (number + 1) * images // shards)


def note_of(shard: Path) -> Path:
    """The file that says what is in a finished shard, until the manifest does."""
    return shard.with_name(f"{shard.name}.json")


def shard_source(dataset: Dataset, number: int, shards: int) -> tuple[str, int]:
    """A text that differs for other images, truth or categories of a shard, and the bytes of the files that go into it.

    Annotations count whole, of files their size and the time of their last change; none is read.

    Raises:
        InputError: a file is missing.
    """
    digest, size = hashlib.sha256(f"{VERSION} {dataset.categories.to_json()}".encode()), 0
    for position in shard_range(number, shards, len(dataset)):
        record = dataset.records[position]
        numbers = (record.image_id, record.height, record.width, record.offset)
        digest.update(f"{record.file_name}\n{numbers}\n{json.dumps(dict(record.extra), default=str)}\n".encode())
        digest.update(record.segments.tobytes())
        digest.update(b"" if record.id_map is None else record.id_map.tobytes())
        for path in dict.fromkeys((record.image_path, record.panoptic_path)):
            try:
                status = path.stat()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from None
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
            size += status.st_size if record.storage.image_feature is None else 0  # a shard is of many images
    return digest.hexdigest(), size


def write_shard(
    dataset: Dataset, folder: Path, number: int, shards: int, done: Callable[[], None] = lambda: None
) -> None:
    """Writes a shard under a temporary name, renames it and notes what is in it.

    The note holds `name`, `images`, `bytes` and `sha256` of the shard; `source`, of `shard_source`; `entries`, the
    pairs of entries of a COCO panoptic JSON, each image with its `shard` and byte `offset`.

    Args:
        dataset: all images.
        folder: where to.
        number: which shard, of `shards`.
        done: called after each image.

    Raises:
        InputError: an image or its truth cannot be used, or the folder cannot be written to.
        WorkFailed: the disk is full.
    """
    import tensorflow as tf

    path = folder / shard_name(number, shards)
    temporary = temporary_of(path)
    source, _ = shard_source(dataset, number, shards)
    entries, offset = [], 0
    try:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for position in shard_range(number, shards, len(dataset)):
                record = dataset.records[position]
                photo, png, truth = read_parts(record)
                image, annotation = entries_of(record, truth, dataset.categories)
                content = example_bytes(photo, png, image, annotation)
                writer.write(content)
                entries.append(({**image, "shard": number, "offset": offset}, annotation))
                offset += len(content) + FRAME
                done()
        if temporary.stat().st_size != offset:
            raise WorkFailed(f"{path}: {temporary.stat().st_size} bytes arrived on the disk, {offset} were written")
        digest = file_digest(temporary)
        os.replace(temporary, path)
    except tf.errors.OpError as error:
        temporary.unlink(missing_ok=True)
        raise WorkFailed(f"{path}: cannot be written ({first_line(error)})") from None
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritten(path, error) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    note = {"name": path.name, "images": len(entries), "bytes": offset, "sha256": digest, "source": source}
    replace_file(note_of(path), json.dumps({**note, "entries": entries}, default=str))


def finished_shard(folder: Path, number: int, shards: int) -> dict[str, Any] | None:
    """The note of a shard that is whole; None for one that has to be written."""
    path = folder / shard_name(number, shards)
    try:
        note = json.loads(note_of(path).read_bytes())
        return note if path.stat().st_size == note["bytes"] and note["source"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
