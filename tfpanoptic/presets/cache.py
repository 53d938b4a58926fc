"""The run folder of a preset: found in the cache, or downloaded, converted and put there, once."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfpanoptic.atomic import new_folder, replace_file
from tfpanoptic.convert import CONVERTERS
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.experiment import Experiment
from tfpanoptic.presets import PRESETS, Preset
from tfpanoptic.presets.download import copy_local, download
from tfpanoptic.run_folder import CONTENTS, RunFolder
from tfpanoptic.version import __version__

# Where converted presets are kept; by default `tfpanoptic` in the user's folder of caches.
CACHE = "TFPANOPTIC_CACHE"
# A folder with the published files, or the address of a mirror, which has them under their own names.
MIRROR = "TFPANOPTIC_MIRROR"
_ORIGIN = "origin.json"


def run_folder_of(preset: str | Path, make: Callable[..., Any]) -> Path:
    """The folder itself, or that of the preset of this name, which is fetched if it is not there yet.

    Args:
        preset: a run folder or a name of `PRESETS`. A folder comes first.
        make: (experiment, categories) -> the model, as `PanopticSegmenter`.

    Raises:
        InputError: neither.
        WorkFailed: the file cannot be downloaded, or is not the one that came the first time.
    """
    path, name = Path(preset), str(preset)
    if path.is_dir():
        return path
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise InputError(
            f"{preset}: no such folder; expected the run folder of `tfpanoptic train`, or a preset that "
            f"`tfpanoptic models` lists{hint}"
        )
    folder = cache_folder() / name
    if not (folder / _ORIGIN).is_file():
        _fetch(PRESETS[name], folder, make)
    return folder


def cache_folder() -> Path:
    """The folder of all fetched presets."""
    if CACHE in os.environ:
        return Path(os.environ[CACHE]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tfpanoptic"


def _fetch(preset: Preset, folder: Path, make: Callable[..., Any]) -> None:
    file_name = preset.address.rpartition("/")[2]
    download_path = folder.parent / "downloads" / file_name
    address, checksum = _bring(preset.address, download_path)
    _require_same(folder.parent / "checksums.json", preset, address, checksum)
    experiment = Experiment.from_yaml(preset.path)
    model = make(experiment, experiment.load_categories())
    converter = CONVERTERS[preset.source]
    try:
        with _checkpoint(download_path) as checkpoint:
            converter.load_variables(model, converter.read_checkpoint(checkpoint))
    except InputError as error:
        raise InputError(f"{preset.name}: {error}") from None
    origin = {
        "preset": preset.name,
        "address": address,
        "sha256": checksum,
        "licence": preset.licence,
        "converted_by": f"tfpanoptic {__version__}",
    }
    with new_folder(folder, (*CONTENTS, _ORIGIN), overwrite=True) as made:
        run = RunFolder(made)
        replace_file(run.config, experiment.to_yaml())
        replace_file(run.categories, model.categories.to_json())
        model.save_weights_file(run.best_weights)
        replace_file(made / _ORIGIN, json.dumps(origin, indent=2) + "\n")
    download_path.unlink()


def _bring(address: str, path: Path) -> tuple[str, str]:
    """The file from its address or from the mirror; where it came from, and its SHA-256."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        try:
            return address, download(address, path)
        except WorkFailed as error:
            raise WorkFailed(f"{error}. {MIRROR} may name a folder with {path.name}, or another server") from None
    if "://" in mirror:
        address = f"{mirror.rstrip('/')}/{path.name}"
        return address, download(address, path)
    local = Path(mirror).expanduser() / path.name
    if not local.is_file():
        raise InputError(f"{local}: no such file; {MIRROR} is {mirror}, expected the file of {address} there")
    return str(local), copy_local(local, path)


def _require_same(record: Path, preset: Preset, address: str, checksum: str) -> None:
    """Notes the checksum of a file that came for the first time; later ones must have the same.

    Raises:
        WorkFailed: it is another file.
    """
    known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    first = known.setdefault(preset.name, {"address": address, "sha256": checksum})
    if first["sha256"] != checksum:
        raise WorkFailed(
            f"{address}: another file than the one that came first from {first['address']} "
            f"(SHA-256 {checksum[:12]}..., expected {first['sha256'][:12]}...); if it was replaced on purpose, "
            f"delete {record}"
        )
    replace_file(record, json.dumps(known, indent=2) + "\n")


@contextmanager
def _checkpoint(path: Path) -> Iterator[Path]:
    """What a converter reads: the file itself, or the TensorFlow checkpoint in an archive, unpacked for the while."""
    if not path.name.endswith(".tar.gz"):
        yield path
        return
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    # By their last names alone: no member leaves the folder.
                    if file is not None:
                        with (Path(folder) / Path(member.name).name).open("wb") as target:
                            shutil.copyfileobj(file, target)
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path}: not a tar.gz archive, or damaged ({error})") from None
        found = sorted(Path(folder).glob("*.index"))
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "none"
            raise InputError(f"{path}: expected one TensorFlow checkpoint in the archive, found {names}")
        yield found[0]
