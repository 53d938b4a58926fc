"""The manifest of a folder of records: what it holds when it is whole. It is written last.

`manifest.json`: `tfpanoptic_records`, the version of the schema; `images`, how many; `categories`, as a COCO panoptic
JSON lists them; `annotations`, bytes and SHA-256 of `panoptic.json`; `shards`, a list with name, images, bytes and
SHA-256 of each, and `source`, a fingerprint of what it was made from. `panoptic.json` is the set's annotation in COCO
panoptic format; each of its images has the number of its `shard` and the byte `offset` of its record there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpanoptic.atomic import replace_file
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import parse_json
from tfpanoptic.data.records.schema import VERSION
from tfpanoptic.data.records.shard import file_digest, note_of, shard_name
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import MAX_INT32, integer, require_keys, text
from tfpanoptic.progress import progress

MANIFEST, ANNOTATIONS = "manifest.json", "panoptic.json"
_MARK = "tfpanoptic_records"
_MAX_BYTES = 1 << 62


@dataclass(frozen=True)
class File:
    """A file of the folder: name, images in it, size in bytes, SHA-256; of a shard, what it was made from."""

    name: str
    images: int
    bytes: int
    sha256: str
    source: str = ""


@dataclass(frozen=True)
class Manifest:
    """What a folder of records holds.

    Attributes:
        images: how many.
        categories: what the category ids of the annotation mean.
        annotations: the file of the annotation.
        shards: in their order.
    """

    images: int
    categories: CategoryTable
    annotations: File
    shards: tuple[File, ...]

    def files(self) -> tuple[File, ...]:
        """All files that it lists."""
        return (self.annotations, *self.shards)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of records.

    Raises:
        InputError: there is none, it is none of this version, or an entry is wrong.
    """
    path = folder / MANIFEST
    if not path.is_file():
        unfinished = any(folder.glob("shard-*-of-*.tfrecord*")) if folder.is_dir() else False
        expected = "records that `tfpanoptic data records` has written"
        hint = "; the writing has not finished: run the command again" if unfinished else ""
        raise InputError(f"{folder}: no {MANIFEST} in it, expected {expected}{hint}")
    content = parse_json(path)
    try:
        require_keys(content, frozenset((_MARK, "images", "categories", "annotations", "shards")))
        if content[_MARK] != VERSION:
            raise InputError(f"records of version {content[_MARK]!r}, this tfpanoptic reads version {VERSION}")
        if not isinstance(content["shards"], list) or not isinstance(content["categories"], list):
            raise InputError("shards and categories must be lists")
        return Manifest(
            images=integer(content, "images", 1, MAX_INT32),
            categories=CategoryTable.from_coco(content["categories"], str(path)),
            annotations=_file(content["annotations"]),
            shards=tuple(_file(entry) for entry in content["shards"]),
        )
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def _file(entry: Any) -> File:
    require_keys(entry, frozenset(("name", "images", "bytes", "sha256")))
    name = text(entry, "name")
    if name != os.path.basename(name):
        raise InputError(f"name must be that of a file in the folder, found {name!r}")
    images, size = integer(entry, "images", 0, MAX_INT32), integer(entry, "bytes", 0, _MAX_BYTES)
    return File(name, images, size, text(entry, "sha256"), text(entry, "source") if "source" in entry else "")


def require_whole(folder: Path, manifest: Manifest) -> None:
    """Checks that every file is there and as long as the manifest says; none is read.

    Raises:
        InputError: for the first that is not.
    """
    for file in manifest.files():
        path = folder / file.name
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise InputError(f"{path}: no such file, but {folder / MANIFEST} lists it") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if size != file.bytes:
            state = "cut short" if size < file.bytes else "of another conversion"
            raise InputError(f"{path}: {state}, {size} bytes, but {folder / MANIFEST} says {file.bytes}")


def require_checksums(folder: Path, manifest: Manifest) -> None:
    """Reads every file and compares its SHA-256 with the manifest's.

    Raises:
        InputError: for the first that is missing, of another length, or of another content.
    """
    require_whole(folder, manifest)
    with progress("checksums", len(manifest.files())) as track:
        for file in manifest.files():
            path = folder / file.name
            if file_digest(path) != file.sha256:
                raise InputError(f"{path}: its SHA-256 is not that of {folder / MANIFEST}; the file was changed")
            track.advance()


def combine(folder: Path, categories: CategoryTable, shards: int) -> Manifest:
    """Writes annotation and manifest from the notes of all shards, which then go.

    Raises:
        InputError: the folder cannot be written to.
        WorkFailed: the disk is full.
    """
    images: list[str] = []
    annotations: list[str] = []
    files = []
    notes = [note_of(folder / shard_name(number, shards)) for number in range(shards)]
    for path in notes:
        note = json.loads(path.read_bytes())
        for image, annotation in note["entries"]:
            images.append(json.dumps(image))
            annotations.append(json.dumps(annotation))
        files.append({key: value for key, value in note.items() if key != "entries"})
    listed = f'"images": {_json_list(images)}, "annotations": {_json_list(annotations)}'
    content = f'{{{listed}, "categories": {json.dumps(categories.to_coco())}}}\n'.encode()
    replace_file(folder / ANNOTATIONS, content)
    digest = hashlib.sha256(content).hexdigest()
    annotation = {"name": ANNOTATIONS, "images": len(images), "bytes": len(content), "sha256": digest}
    manifest = {
        _MARK: VERSION,
        "images": len(images),
        "categories": categories.to_coco(),
        "annotations": annotation,
        "shards": files,
    }
    replace_file(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    for path in notes:
        path.unlink(missing_ok=True)
    return read_manifest(folder)


def _json_list(entries: Iterable[str]) -> str:
    return f"[{', '.join(entries)}]"
