"""Bicubic resizing with a filter against aliasing, as the matrix of one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

# Source: Keys 1981, a = -0.5, as in Pillow, timm and `tf.image.resize(antialias=True)`; PyTorch without a filter has
# -0.75.
_A = -0.5
# Cells on each side of a point that have a share in it.
_SUPPORT = 2.0


def bicubic_matrix(source, target):
    """The shares that cells of an axis have in those of the resized one, `[target, source]`; rows sum to 1.

    Half-pixel centres. An axis that shrinks is read by a kernel as wide as the new cells. At equal length it is
    the identity, to the last bit.

    Args:
        source: cells of the axis, an int or a scalar int32 tensor.
        target: cells of the resized one, likewise.

    Returns:
        A float64 array where both are ints, else a float32 tensor.
    """
    if isinstance(source, int) and isinstance(target, int):
        return _matrix(np, np.arange(source, dtype="float64"), np.arange(target, dtype="float64"), source / target)
    cells, points = (ops.arange(length, dtype="float32") for length in (source, target))
    step = ops.cast(source, "float32") / ops.cast(target, "float32")
    return _matrix(ops, cells, points, step)


def _matrix(library: Any, cells, points, step):
    """The matrix from cells and points of the axes counted from 0, by the functions of NumPy or of `keras.ops`."""
    centers = (points + 0.5) * step - 0.5
    distance = library.abs(cells - centers[:, None]) / library.maximum(step, 1.0)
    near = ((_A + 2.0) * distance - (_A + 3.0)) * distance * distance + 1.0
    far = ((_A * distance - 5.0 * _A) * distance + 8.0 * _A) * distance - 4.0 * _A
    shares = library.where(distance < 1.0, near, library.where(distance < _SUPPORT, far, 0.0))
    return shares / library.sum(shares, axis=1, keepdims=True)
