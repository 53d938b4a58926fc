"""The run folder of a preset: found in the cache, or downloaded, converted and put there, once."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfpanoptic.atomic import new_folder, replace_file
from tfpanoptic.categories import CategoryTable
from tfpanoptic.convert import CONVERTERS
from tfpanoptic.errors import InputError, WorkFailed, settings_of
from tfpanoptic.experiment import Experiment
from tfpanoptic.presets import DIFFERENCES, PRESETS, Preset
from tfpanoptic.presets.download import download, sha256_of
from tfpanoptic.run_folder import CONTENTS, ORIGIN, RunFolder
from tfpanoptic.settings.cache_folder import CACHE, cache_folder
from tfpanoptic.settings.overrides import require_changeable
from tfpanoptic.version import __version__

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# A folder with the published files, or the address of a server that has them, side by side under `Preset.file`.
MIRROR = "TFPANOPTIC_MIRROR"


def run_folder_of(preset: str | Path, make: Callable[..., Any]) -> Path:
    """The folder itself, or that of the preset of this name, which is fetched if it is not there yet.

    Args:
        preset: a run folder or a name of `PRESETS`. A run folder comes first.
        make: (experiment, categories) -> the model, as `PanopticSegmenter`.

    Raises:
        InputError: neither, or the file is not what it should be.
        WorkFailed: the file cannot be downloaded, or is not the one that came the first time.
    """
    folder = _present(preset)
    if folder is None:
        cache = cache_folder()
        folder = cache / str(preset)
        with _alone_in(cache):
            # Another process may have been quicker.
            if not RunFolder(folder).origin.is_file():
                _fetch(PRESETS[str(preset)], cache, make)
    return folder


def read_settings(preset: str | Path, overrides: Sequence[str] = ()) -> tuple[Path, Experiment, CategoryTable]:
    """The configuration's file of a run folder or preset, its experiment and its categories; nothing is downloaded.

    Args:
        preset: as in `run_folder_of`.
        overrides: as in `RunFolder.load_experiment`.

    Raises:
        InputError: neither a folder nor a preset, no run folder, or a wrong override.
    """
    folder = _present(preset)
    if folder is not None:
        run = RunFolder(folder)
        return run.config, run.load_experiment(overrides), run.load_categories()
    require_changeable(overrides)
    path = PRESETS[str(preset)].path
    experiment = Experiment.from_yaml(path, overrides)
    return path, experiment, experiment.load_categories()


def is_published(preset: str | Path) -> bool:
    """Whether this is a published model, by its name or by its folder in the cache, and no run folder of the user's."""
    folder = RunFolder(preset)
    return folder.origin.is_file() if folder.config.is_file() else str(preset) in PRESETS


def _present(preset: str | Path) -> Path | None:
    """The run folder, or that of a preset; None if it is not fetched yet."""
    path, name = Path(preset), str(preset)
    if RunFolder(path).config.is_file() or (path.is_dir() and name not in PRESETS):
        return path
    if name in DIFFERENCES:
        raise InputError(
            f"{preset}: published as differences from DINOv3, which everyone gets from Meta under its licence; "
            "`tfpanoptic models` says how both files are converted"
        )
    if path.suffix == ".safetensors" and path.is_file():
        made = f"PanopticSegmenter.from_yaml(CONFIG, ['training.initial_weights={name}']).save_preset(FOLDER)"
        raise InputError(f"{preset}: weights alone; `{made}` makes a run folder of them")
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise InputError(
            f"{preset}: no such folder; expected the run folder of `tfpanoptic train`, or a preset that "
            f"`tfpanoptic models` lists{hint}"
        )
    folder = cache_folder() / name
    return folder if RunFolder(folder).origin.is_file() else None


@contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    """One process at a time fetches into a cache; others wait."""
    try:
        (cache / "downloads").mkdir(parents=True, exist_ok=True)
        lock = (cache / "lock").open("wb")
    except OSError as error:
        raise InputError(f"{cache}: cannot be written ({error.strerror}); {CACHE} names another folder") from None
    with lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(preset: Preset, cache: Path, make: Callable[..., Any]) -> None:
    experiment = Experiment.from_yaml(preset.path)
    file, address = _bring(preset, cache / "downloads")
    checksum = sha256_of(file)
    record = cache / f"{preset.name}.sha256"
    _require_same(record, address, checksum)
    with settings_of(preset.path):
        model = make(experiment, experiment.load_categories())
    converter = CONVERTERS[preset.source]
    try:
        with _checkpoint(file, cache / "downloads") as checkpoint:
            converter.load_variables(model, converter.read_checkpoint(checkpoint))
    except InputError as error:
        if file.parent == cache / "downloads":
            file.unlink()
        raise InputError(f"{preset.name}: {error}") from None
    origin = {
        "preset": preset.name,
        "address": address,
        "sha256": checksum,
        "licence": preset.licence,
        "converted_by": f"tfpanoptic {__version__}",
    }
    with new_folder(cache / preset.name, (*CONTENTS, ORIGIN), overwrite=True) as made:
        run = RunFolder(made)
        replace_file(run.config, experiment.to_yaml())
        replace_file(run.categories, model.categories.to_json())
        model.licence = preset.licence
        model.save_weights_file(run.best_weights)
        replace_file(run.origin, json.dumps(origin, indent=2) + "\n")
    # Not before: a login page in place of the file must not become the one that all others are compared with.
    replace_file(record, f"{checksum}  {address}\n")
    if file.parent == cache / "downloads":
        file.unlink()


def _bring(preset: Preset, folder: Path) -> tuple[Path, str]:
    """The file, downloaded into the folder or where the mirror has it, and where it is from."""
    address, name, mirror = preset.address, preset.file, os.environ.get(MIRROR)
    if mirror and "://" not in mirror:
        local = Path(mirror).expanduser() / name
        if not local.is_file():
            raise InputError(f"{local}: no such file; {MIRROR} is {mirror}, expected that of {address} there")
        return local, str(local)
    if mirror:
        address = f"{mirror.rstrip('/')}/{name}"
    path = folder / name
    # It is there where an earlier conversion was interrupted.
    if not path.is_file():
        try:
            download(address, path)
        except WorkFailed as error:
            hint = "" if mirror else f". {MIRROR} may name a folder with {name}, or another server"
            raise WorkFailed(f"{error}{hint}") from None
    return path, address


def _require_same(record: Path, address: str, checksum: str) -> None:
    """Compares with the checksum of the file that was converted the first time.

    Raises:
        WorkFailed: it is another file.
    """
    first, _, origin = record.read_text(encoding="utf-8").strip().partition("  ") if record.is_file() else ("", "", "")
    if first and first != checksum:
        raise WorkFailed(
            f"{address}: another file than the one that came first from {origin} (SHA-256 {checksum[:12]}..., "
            f"expected {first[:12]}...); if it was replaced on purpose, delete {record}"
        )


@contextmanager
def _checkpoint(path: Path, folder: Path) -> Iterator[Path]:
    """What a converter reads: the file itself, or the TensorFlow checkpoint in an archive, unpacked for the while."""
    if not path.name.endswith(".tar.gz"):
        yield path
        return
    unpacked = folder / f"{path.name}.unpacked"
    # An interrupted process leaves it.
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    try:
        _unpack(path, unpacked)
        found = sorted(unpacked.glob("*.index"))
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "none"
            raise InputError(f"{path}: expected one TensorFlow checkpoint in the archive, found {names}")
        yield found[0]
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _unpack(path: Path, folder: Path) -> None:
    """Writes the files of an archive into a folder, by their last names alone, so that no member leaves it."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                file = archive.extractfile(member) if member.isfile() else None
                if file is None or name.startswith("."):
                    continue
                with (folder / name).open("xb") as target:
                    shutil.copyfileobj(file, target)
    except FileExistsError:
        raise InputError(f"{path}: expected one file {name} in the archive, found two") from None
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno:
            raise WorkFailed(f"{folder}: cannot be written ({error.strerror})") from None
        said = " ".join(str(error).split())
        raise InputError(f"{path}: not a tar.gz archive, or damaged ({said})") from None
