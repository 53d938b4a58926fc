"""Arrays of safetensors files of other projects, in one file or in several with an index beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from tfpanoptic.errors import InputError

# Of those that NumPy has. Source: the format's documentation.
_FLOATS = ("F64", "F32", "F16")
# Longest header of a file. Source: the format's own limit.
_LONGEST_HEADER = 100_000_000


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a header in 8 bytes, and its brace."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file by name.

    Raises:
        InputError: damaged, a weight file of ours, or numbers that are not read.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            if (file.metadata() or {}).get("format") == "tfpanoptic":
                raise InputError(f"{path}: weights of ours already; training.initial_weights takes them as they are")
            names = list(file.keys())
            kinds = {name: file.get_slice(name).get_dtype() for name in names}
            other = next((name for name in names if kinds[name] not in _FLOATS), None)
            if other is not None:
                raise InputError(f"{path}: {other}: expected one of {', '.join(_FLOATS)}, found {kinds[other]}")
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise InputError(f"{path}: a damaged safetensors file ({error})") from None


def is_index(path: Path) -> bool:
    """Whether a file begins as JSON."""
    with path.open("rb") as file:
        return file.read(64).lstrip()[:1] == b"{"


def read_index(path: Path, read: Callable[[Path], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """All arrays of the files that an index names.

    Args:
        path: of the index, JSON with `weight_map`: name of an array -> file beside it.
        read: reads one of these files.

    Raises:
        InputError: no index, a file that does not lie beside it, or an array that is not where it says.
    """
    try:
        places = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        files = sorted({Path(path.parent, file) for file in places.values()})
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: expected JSON with weight_map, the file of each array, found none") from None
    arrays: dict[str, np.ndarray] = {}
    for file in files:
        if file.parent != path.parent or file == path:
            raise InputError(f"{path}: expected files beside it, found {file}")
        arrays |= {name: array for name, array in read(file).items() if places.get(name) == file.name}
    missing = sorted(places.keys() - arrays.keys())
    if missing:
        raise InputError(f"{path}: {places[missing[0]]} has no {missing[0]}")
    return arrays
