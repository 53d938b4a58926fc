"""Arrays by name of a checkpoint that is a pickle or a file of PyTorch, without running anything of it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.convert.safe_pickle import NoPickle, StoredArray, read_pickle
from tfpanoptic.convert.torch_file import LEGACY_MAGIC, Tensor, read_legacy, read_zip
from tfpanoptic.errors import InputError


def read_pickled_arrays(path: str | Path, keys: Sequence[str], expected: str) -> dict[str, np.ndarray]:
    """All arrays of a file, keyed by its names.

    Args:
        path: of a pickle or of a file of `torch.save`.
        keys: under the first of these that is there lie the arrays; without any they are the content itself.
        expected: ends the messages about another kind of file.

    Raises:
        InputError: no such file, another format, damaged, or a pickle that names anything but arrays, tensors and plain
            containers.
    """
    path = Path(path)
    require_content(path, expected)
    try:
        with path.open("rb") as file:
            if file.read(4) == b"PK\x03\x04":
                with zipfile.ZipFile(file) as archive:
                    return _arrays(read_zip(archive, path), path, keys)
            file.seek(0)
            content = read_pickle(file, path)
            if isinstance(content, int) and content == LEGACY_MAGIC:
                content = read_legacy(file, path)
            return _arrays(content, path, keys)
    except NoPickle as error:
        raise InputError(f"{error}; {expected}") from None
    except zipfile.BadZipFile:
        raise InputError(f"{path}: a zip file that is cut off or damaged; {expected}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def require_content(path: Path, expected: str) -> None:
    """Checks that a file is there and has content.

    Raises:
        InputError: a folder, no file, or an empty one.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; {expected}")
    if not path.stat().st_size:
        raise InputError(f"{path}: an empty file; {expected}")


def _arrays(content: Any, path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint's content, made while its file is open."""
    stored = content
    if isinstance(content, dict):
        stored = next((content[key] for key in keys if key in content), content)
    if not isinstance(stored, dict) or not stored:
        raise InputError(f"{path}: expected arrays by name, found {_kind(stored)}")
    arrays = {}
    for name, value in stored.items():
        if not isinstance(name, str):
            raise InputError(f"{path}: expected names of arrays, found {_kind(name)}")
        if not isinstance(value, StoredArray | Tensor):
            places = ", ".join(f"under {key}" for key in keys)
            expected = f"expected nothing but arrays by name, {places} or by themselves"
            raise InputError(f"{path}: {expected}; found {_kind(value)} under {name[:80]!r}")
        try:
            arrays[name] = value.array()
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise InputError(f"{path}: {name}: {error}") from None
    return arrays


def _kind(value: object) -> str:
    return "an empty dict" if value == {} else type(value).__name__.strip("_")
