"""What is in TFRecord shards that other tools have written, found by reading them once and kept in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tfpanoptic.data.kept_scans import cached, file_key, find
from tfpanoptic.data.shards import FRAME
from tfpanoptic.errors import InputError, first_line
from tfpanoptic.progress import progress

# Of what the cache holds; another one has the shards read again.
VERSION = 1
# A `tf.train.Example` -> what is known of its image, of JSON's types.
Describe = Callable[[Any], dict[str, Any]]
_GZIP = b"\x1f\x8b"


def scan(paths: Sequence[Path], tool: str, describe: Describe) -> list[tuple[Path, list[dict[str, Any]]]]:
    """The records of some shards: what `describe` says of each, and its `offset` in bytes.

    Args:
        paths: the shards.
        tool: name of what wrote them, a part of the key in the cache.
        describe: raises `InputError`, without a place, for a record that it cannot use.

    Raises:
        InputError: a shard is missing, damaged, compressed or without records, or a record cannot be used.
    """
    keys = [("records", VERSION, tool, file_key(path)) for path in paths]
    found = [find(key) for key in keys]
    unread = [row for row, entries in enumerate(found) if entries is None]
    if unread:
        with progress("shards read", len(unread)) as track, ThreadPoolExecutor(os.cpu_count()) as pool:
            describe_all = partial(_describe_all, describe=describe)
            works = {row: pool.submit(cached, keys[row], partial(describe_all, paths[row])) for row in unread}
            try:
                for row, work in works.items():
                    found[row] = work.result()
                    track.advance()
            finally:
                pool.shutdown(cancel_futures=True)
    return list(zip(paths, found))


def _describe_all(path: Path, describe: Describe) -> list[dict[str, Any]]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    with path.open("rb") as file:
        if file.read(2) == _GZIP:
            raise InputError(f"{path}: compressed; expected TFRecords that are not, for they are read at any place")
    entries: list[dict[str, Any]] = []
    offset = 0
    try:
        for content in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            entries.append({**describe(tf.train.Example.FromString(content)), "offset": offset})
            offset += len(content) + FRAME
    except InputError as error:
        raise InputError(f"{path}: the record at byte {offset}: {error}") from None
    except tf.errors.OpError as error:
        raise InputError(f"{path}: no whole record at byte {offset} ({first_line(error)})") from None
    except DecodeError:
        raise InputError(f"{path}: the record at byte {offset} is no tf.train.Example") from None
    if not entries:
        raise InputError(f"{path}: no record in it")
    return entries


def bytes_of(example: Any, name: str, hint: str = "") -> bytes:
    """The bytes of a feature.

    Raises:
        InputError: it has none, or several; `hint` ends the message.
    """
    values = list(example.features.feature[name].bytes_list.value) if name in example.features.feature else []
    if len(values) != 1:
        raise InputError(f"expected one text of bytes under {name}, found {len(values)}{hint}")
    return values[0]


def integers_of(example: Any, name: str, count: int | None = None) -> list[int]:
    """The integers of a feature, `count` of them.

    Raises:
        InputError: another number of them.
    """
    values = list(example.features.feature[name].int64_list.value) if name in example.features.feature else []
    if count is not None and len(values) != count:
        raise InputError(f"expected {count} integers under {name}, found {len(values)}")
    return values


def text_of(example: Any, name: str) -> str:
    """The text of a feature.

    Raises:
        InputError: it has none, several, or one that is no UTF-8.
    """
    value = bytes_of(example, name)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InputError(f"expected UTF-8 under {name}, found {value[:40]!r}") from None
