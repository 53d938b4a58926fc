"""Arrays of a vision transformer, by our paths, made to fit a model whose grid or patches are others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfpanoptic.convert.resampled import resampled_kernel, resampled_positions
from tfpanoptic.convert.vit_names import CLASS_TOKEN, KERNEL, POSITIONS, QUERIES, square_side
from tfpanoptic.errors import InputError

_BLOCK = re.compile(r"block\d+/norm1/gamma")


class Size(NamedTuple):
    """Channels of a token, and blocks."""

    width: int
    depth: int

    def __str__(self) -> str:
        return f"width {self.width} and depth {self.depth}"


def size_of(shapes: Mapping[str, tuple[int, ...]]) -> Size:
    """The size of a transformer whose weights have these shapes."""
    return Size(shapes[CLASS_TOKEN][-1], sum(_BLOCK.fullmatch(path) is not None for path in shapes))


def form_of(paths) -> str:
    """The form of a transformer that has weights of these paths, as `model.backbone.form` has it."""
    return "dinov2" if POSITIONS in paths else "dinov3"


def shapes_of(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shapes of arrays."""
    return {path: np.shape(array) for path, array in arrays.items()}


def require_same_network(arrays: Mapping[str, np.ndarray], model) -> None:
    """Checks form, size and number of queries; of arrays of quite another network nothing is said.

    Raises:
        InputError: they are of another one.
    """
    found, expected = shapes_of(arrays), _shapes_of_model(model)
    if CLASS_TOKEN not in found or CLASS_TOKEN not in expected:
        return
    pairs = {
        "backbone.form": tuple(repr(form_of(shapes)) for shapes in (found, expected)),
        "backbone": (size_of(found), size_of(expected)),
        "queries": tuple(shapes[QUERIES][0] for shapes in (found, expected) if QUERIES in found and QUERIES in shapes),
    }
    problems = [
        f"model.{setting}: expected {pair[0]} for these weights, found {pair[1]}"
        for setting, pair in pairs.items()
        if len(set(pair)) > 1
    ]
    if problems:
        raise InputError("weights of another network: " + "; ".join(problems))


def fit_positions(arrays: dict[str, np.ndarray], model) -> None:
    """Resamples learned positions where the model has another number of them.

    Raises:
        InputError: they are of a grid that is not square, so that nobody knows it.
    """
    shapes = _shapes_of_model(model)
    if POSITIONS not in arrays or POSITIONS not in shapes or len(arrays[POSITIONS]) == shapes[POSITIONS][0]:
        return
    positions, grid = arrays[POSITIONS], _grid_of(model)
    side = square_side(len(positions))
    if not side:
        raise InputError(
            f"positions: found {len(positions)}, of no square grid; expected those of {_by(grid)} patches, as "
            "model.backbone.positions has them, or of a square grid"
        )
    resampled = resampled_positions(positions.reshape(side, side, -1), grid)
    arrays[POSITIONS] = resampled.reshape(-1, resampled.shape[-1]).astype(np.float32)


def fit_kernel(arrays: dict[str, np.ndarray], model) -> None:
    """Resamples the kernel of the patch embedding where the model's patches have another size."""
    kernel, size = arrays.get(KERNEL), _shapes_of_model(model)[KERNEL][0]
    if kernel is not None and kernel.shape[0] == kernel.shape[1] != size:
        arrays[KERNEL] = resampled_kernel(kernel, size).astype(np.float32)


def resampling_notes(arrays: Mapping[str, np.ndarray], model) -> list[str]:
    """What these two functions change, and what they take for granted, a line each."""
    lines, shapes = [], _shapes_of_model(model)
    if POSITIONS in arrays and POSITIONS in shapes:
        count, grid = len(arrays[POSITIONS]), _grid_of(model)
        side = square_side(count)
        if side and count != shapes[POSITIONS][0]:
            lines.append(f"positions: resampled from {_by((side, side))} to {_by(grid)} patches")
        elif grid[0] != grid[1]:
            lines.append(f"positions: the file's {count} are taken as {_by(grid)} patches")
    if KERNEL in arrays and arrays[KERNEL].shape[:2] != shapes[KERNEL][:2]:
        lines.append(f"patch kernel: resampled from {_by(arrays[KERNEL].shape)} to {_by(shapes[KERNEL])} pixels")
    return lines


def _shapes_of_model(model) -> dict[str, tuple[int, ...]]:
    return {weight.path: tuple(weight.shape) for weight in model.weights}


def _grid_of(model) -> tuple[int, int]:
    """Rows and columns of the model's positions; of a network without a configuration a square is expected."""
    if hasattr(model, "experiment"):
        rows, columns = model.experiment.model.backbone.positions
        return rows, columns
    return (square_side(_shapes_of_model(model)[POSITIONS][0]),) * 2


def _by(size) -> str:
    return f"{size[0]} x {size[1]}"
