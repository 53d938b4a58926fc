"""Weight files: safetensors keyed by variable path, with what the weights mean in the header."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tfpanoptic.architecture import CategoryLayer
from tfpanoptic.atomic import temporary_of
from tfpanoptic.categories import CategoryTable
from tfpanoptic.category_match import (
    CategoryMatch,
    Outputs,
    count_outputs,
    equal_outputs,
    first_names,
    match_categories,
)
from tfpanoptic.errors import InputError, WorkFailed, unwritten

FORMAT_VERSION = "1"

# Of the weights that are left: own choice, below what any backbone is of its network.
HARDLY = 0.1

_EXPECTED = "expected weights as safetensors, as training and `tfpanoptic weights convert` write them"


class LoadReport(NamedTuple):
    """What a load did; as text, one line for people.

    Attributes:
        path: the file, or what the weights are where they come from none.
        loaded: variable paths that were set.
        left: paths of the model that stayed as they were.
        unused: names of the file that no weight fits.
        partly: paths of which the outputs of some categories were set.
        categories: how the file's categories and the model's match; None where they were not looked at.
        licence: of the weights; None where nothing tells it.
    """

    path: str
    loaded: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]
    partly: tuple[str, ...] = ()
    categories: CategoryMatch | None = None
    licence: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the file and the model have the same weights."""
        return not self.left and not self.unused and not self.partly

    @property
    def plain(self) -> bool:
        """Whether all weights were taken as they stand in the file."""
        return self.complete and not (self.categories and self.categories.reordered)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} weights loaded"]
        if len(self.loaded) + len(self.partly) < HARDLY * len(self.left):
            parts[0] += ", HARDLY ANY: is the file of another network?"
        if self.partly:
            parts.append(f"{len(self.partly)} in part ({first_names(self.partly, 3)})")
        if self.left:
            parts.append(f"{len(self.left)} of the model left as they were ({first_names(self.left, 3)})")
        if self.unused:
            parts.append(f"{len(self.unused)} of the file not used ({first_names(self.unused, 3)})")
        if self.categories and str(self.categories):
            parts.append(str(self.categories))
        return f"{self.path}: {'; '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**self._asdict(), "categories": self.categories and self.categories._asdict()}


def save_weights(
    path: str | Path,
    model: keras.Model,
    categories: CategoryTable,
    channels: Mapping[str, tuple[int, ...]],
    config: str = "",
    licence: str | None = None,
) -> None:
    """Writes all weights of `model`, to a temporary name first.

    Args:
        categories: the category table, kept in the header.
        channels: head -> category id of each channel, kept in the header.
        config: the experiment's YAML text, kept in the header.
        licence: of the weights, kept in the header.

    Raises:
        InputError: the place cannot be written to.
        WorkFailed: the disk is full.
    """
    path = Path(path)
    header = {
        "format": "tfpanoptic",
        "format_version": FORMAT_VERSION,
        "categories": categories.to_json(),
        "channels": json.dumps({head: list(ids) for head, ids in channels.items()}),
        "config": config,
        **({} if licence is None else {"licence": licence}),
    }
    arrays = {variable.path: np.ascontiguousarray(ops.convert_to_numpy(variable)) for variable in model.weights}
    temporary = temporary_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(arrays, str(temporary), metadata=header)
        temporary.chmod(mode)  # safetensors lets nobody but the owner read
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritten(path, error) from None
    except SafetensorError as error:  # of the system's errors it keeps the text alone
        temporary.unlink(missing_ok=True)
        kind = WorkFailed if re.search("No space left|quota", str(error)) else InputError
        raise kind(f"{path}: cannot be written ({error})") from None


def read_header(path: str | Path) -> dict[str, str]:
    """The header of a weight file of ours.

    Raises:
        InputError: no such file, not safetensors, not ours, or of a newer format.
    """
    with _open(path) as file:
        return _header(path, file)


def load_weights(
    path: str | Path,
    model: keras.Model,
    outputs: Outputs | None = None,
    layers: Sequence[CategoryLayer] = (),
    strict: bool = True,
) -> LoadReport:
    """Sets the weights of `model` from a file.

    Args:
        outputs: what the model's outputs stand for; None does not look at what the file's do.
        layers: the `category_layers` of its architecture. Their outputs are matched by the name of the category and by
            whether it is a thing, wherever they stand in the file.
        strict: the file must have the same categories, in any order, every array must fit one weight and every weight
            must be in the file. Otherwise what fits by path and shape is taken, and of `layers` the outputs of the
            categories that both have; the report names the rest. Taking nothing is an error.

    Raises:
        InputError: as `read_header`, or the file does not fit; nothing is changed then.
    """
    with _open(path) as file:
        header = _header(path, file)
        ours = {variable.path: variable for variable in model.weights}
        stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        shapes = {name: (shape, tuple(ours[name].shape)) for name, shape in stored.items() if name in ours}
        match, places = None, {}
        if outputs is not None:
            theirs = _outputs(path, header)
            match = match_categories(theirs.categories, outputs.categories)
            if strict and not match.same:
                raise InputError(f"{path}: {_other_categories(theirs.categories, outputs.categories, match)}")
            places = _places(layers, theirs, outputs, shapes)
        fits = [name for name, pair in shapes.items() if _fits(pair, places.get(name))]
        partly = [name for name in places if name not in fits and len(places[name][0])]
        left = [name for name in ours if name not in {*fits, *partly}]
        unused = [name for name in stored if name not in {*fits, *partly}]
        if (strict and (left or unused or partly)) or not (fits or partly):
            raise InputError(f"{path}: weights of another model: {_mismatch(ours, stored, left + partly, unused)}")
        arrays = {name: file.get_tensor(name) for name in (*fits, *partly)}
    for name, array in arrays.items():
        ours[name].assign(_by_category(ours[name], array, *places[name]) if name in places else array)
    if match is not None and not any(name in places for name in arrays):
        match = match.without_layers()
    licence = header.get("licence")
    return LoadReport(str(path), tuple(fits), tuple(left), tuple(unused), tuple(partly), match, licence)


def _fits(shapes: tuple[tuple, tuple], places: tuple[np.ndarray, np.ndarray] | None) -> bool:
    """Whether the file has all of a weight, given the shapes of both; `places` are those of equal outputs."""
    return shapes[0] == shapes[1] and (places is None or len(places[0]) == shapes[0][-1])


def _by_category(variable: keras.Variable, array: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """The weight with the file's values at these places of its last axis."""
    value = np.array(ops.convert_to_numpy(variable))
    value[..., ours] = array[..., theirs]
    return value


def _open(path: str | Path):
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder; expected a file of weights, as best.safetensors in a run folder")
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


def _outputs(path: str | Path, header: dict[str, str]) -> Outputs:
    """What the file's outputs stand for, as its header has it."""
    try:
        channels = {head: tuple(ids) for head, ids in json.loads(header["channels"]).items()}
        return Outputs(CategoryTable.from_json(header["categories"]), channels)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged header: categories and channels cannot be read ({error})") from None


def _places(
    layers: Sequence[CategoryLayer], theirs: Outputs, ours: Outputs, shapes: Mapping[str, tuple[tuple, tuple]]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weight of one of the layers -> places of equal outputs in the file and in the model, as `equal_outputs`.

    There are none where the file's header does not explain its array, or the array differs in more than its outputs.

    Args:
        shapes: of the arrays that both have, the file's and the model's.
    """
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64)
    places = {}
    for layer in layers:
        count = count_outputs(layer, theirs)
        for name, (found, expected) in shapes.items():
            if name.startswith(f"{layer.path}/"):
                comparable = count and found[-1:] == (count,) and found[:-1] == expected[:-1]
                places[name] = equal_outputs(layer, theirs, ours) if comparable else nothing
    return places


def _other_categories(theirs: CategoryTable, ours: CategoryTable, match: CategoryMatch) -> str:
    if match.other_kind:
        name = match.other_kind[0]
        kinds = ("a thing", "stuff") if theirs.by_name()[name].isthing else ("stuff", "a thing")
        return f"category {name} is {kinds[0]} in these weights, the model has it as {kinds[1]}"
    names = [first_names([c.name for c in table]) for table in (theirs, ours)]
    return (
        f"weights for {len(theirs)} categories ({names[0]}), the model has {len(ours)} ({names[1]}); "
        "training.initial_weights_strict=false takes those of the same name"
    )


def _mismatch(ours: dict, stored: dict[str, tuple], left: list[str], unused: list[str]) -> str:
    """The first few of each kind of mismatch, in one line."""
    shapes = [f"{n} is {stored[n]}, expected {tuple(ours[n].shape)}" for n in left if n in stored]
    missing = [n for n in left if n not in stored]
    extra = [n for n in unused if n not in ours]
    parts = []
    for what, names in (("other shape", shapes), ("missing", missing), ("not known", extra)):
        if names:
            parts.append(f"{len(names)} {what} ({first_names(names, 3)})")
    return "; ".join(parts)
