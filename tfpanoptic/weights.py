"""Weight files: safetensors keyed by variable path, with what the weights mean in the header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError

FORMAT_VERSION = "1"

_EXPECTED = "expected weights as safetensors, as training and `tfpanoptic weights convert` write them"


class LoadReport(NamedTuple):
    """What a load did; as text, one line for people.

    Attributes:
        path: the file, or what the weights are where they come from none.
        loaded: variable paths that were set.
        left: paths of the model that stayed as they were.
        unused: names of the file that no weight fits.
    """

    path: str
    loaded: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the file and the model have the same weights."""
        return not self.left and not self.unused

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} weights loaded"]
        if self.left:
            parts.append(f"{len(self.left)} of the model left as they were ({_first(self.left)})")
        if self.unused:
            parts.append(f"{len(self.unused)} of the file not used ({_first(self.unused)})")
        return f"{self.path}: {'; '.join(parts)}"


def save_weights(
    path: str | Path,
    model: keras.Model,
    categories: CategoryTable,
    channels: Mapping[str, tuple[int, ...]],
    config: str = "",
) -> None:
    """Writes all weights of `model`, to a temporary name first.

    Args:
        categories: the category table, kept in the header.
        channels: head -> category id of each channel, kept in the header.
        config: the experiment's YAML text, kept in the header.
    """
    path = Path(path)
    header = {
        "format": "tfpanoptic",
        "format_version": FORMAT_VERSION,
        "categories": categories.to_json(),
        "channels": json.dumps({head: list(ids) for head, ids in channels.items()}),
        "config": config,
    }
    arrays = {variable.path: np.ascontiguousarray(ops.convert_to_numpy(variable)) for variable in model.weights}
    temporary = path.with_name(path.name + ".writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(arrays, str(temporary), metadata=header)
        temporary.chmod(mode)  # safetensors lets nobody but the owner read
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be written ({error})") from None


def read_header(path: str | Path) -> dict[str, str]:
    """The header of a weight file of ours.

    Raises:
        InputError: no such file, not safetensors, not ours, or of a newer format.
    """
    with _open(path) as file:
        return _header(path, file)


def load_weights(
    path: str | Path, model: keras.Model, categories: CategoryTable | None = None, strict: bool = True
) -> LoadReport:
    """Sets the weights of `model` from a file.

    Args:
        categories: refuse a file of other categories; None does not look.
        strict: every array must fit one weight and every weight must be in the file. Otherwise what
            fits by path and shape is taken, at least one, and the report names the rest.

    Raises:
        InputError: as `read_header`, or the file does not fit; nothing is changed then.
    """
    with _open(path) as file:
        header = _header(path, file)
        if categories is not None and strict:
            _check_categories(path, header, categories)
        ours = {variable.path: variable for variable in model.weights}
        stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        fits = [name for name, shape in stored.items() if name in ours and tuple(ours[name].shape) == shape]
        left = [name for name in ours if name not in fits]
        unused = [name for name in stored if name not in fits]
        if (strict and (left or unused)) or not fits:
            raise InputError(f"{path}: weights of another model: {_mismatch(ours, stored, left, unused)}")
        for name in fits:
            ours[name].assign(file.get_tensor(name))
    return LoadReport(str(path), tuple(fits), tuple(left), tuple(unused))


def _open(path: str | Path):
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; {_EXPECTED}")
    if not Path(path).stat().st_size:
        raise InputError(f"{path}: an empty file; {_EXPECTED}")
    try:
        return safe_open(str(path), framework="numpy")
    except SafetensorError:
        raise InputError(f"{path}: not a safetensors file, or a damaged one; {_EXPECTED}") from None


def _header(path: str | Path, file) -> dict[str, str]:
    header = file.metadata() or {}
    if header.get("format") != "tfpanoptic":
        raise InputError(f"{path}: a safetensors file, but not written by tfpanoptic (no such format in its header)")
    if header["format_version"] != FORMAT_VERSION:
        found = header["format_version"]
        raise InputError(f"{path}: weight format {found}, this version reads {FORMAT_VERSION}; update tfpanoptic")
    return header


def _check_categories(path: str | Path, header: dict[str, str], categories: CategoryTable) -> None:
    theirs = [c.name for c in CategoryTable.from_json(header["categories"])]
    ours = [c.name for c in categories]
    if theirs != ours:
        raise InputError(
            f"{path}: weights for {len(theirs)} categories ({', '.join(theirs[:4])}, ...), "
            f"the model has {len(ours)} ({', '.join(ours[:4])}, ...)"
        )


def _mismatch(ours: dict, stored: dict[str, tuple], left: list[str], unused: list[str]) -> str:
    """The first few of each kind of mismatch, in one line."""
    shapes = [f"{n} is {stored[n]}, expected {tuple(ours[n].shape)}" for n in left if n in stored]
    missing = [n for n in left if n not in stored]
    extra = [n for n in unused if n not in ours]
    parts = []
    for what, names in (("other shape", shapes), ("missing", missing), ("not known", extra)):
        if names:
            parts.append(f"{len(names)} {what} ({_first(names)})")
    return "; ".join(parts)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
