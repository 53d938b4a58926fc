"""Bicubic resizing with a filter against aliasing, as the matrix of one axis."""

from __future__ import annotations

from keras import ops

# Source: Keys 1981, a = -0.5, as in Pillow, timm and `tf.image.resize(antialias=True)`; PyTorch without a filter has
# -0.75.
_A = -0.5
# Cells on each side of a point that have a share in it.
_SUPPORT = 2.0


def bicubic_matrix(source, target):
    """The shares that cells of an axis have in those of the resized one, float32 `[target, source]`; rows sum to 1.

    Half-pixel centres. An axis that shrinks is read by a kernel as wide as the new cells. At equal length it is
    the identity, to the last bit.

    Args:
        source: cells of the axis, an int or a scalar int32 tensor.
        target: cells of the resized one, likewise.
    """
    cells = ops.cast(ops.arange(source, dtype="int32"), "float32")
    points = ops.cast(ops.arange(target, dtype="int32"), "float32")
    step = ops.cast(source, "float32") / ops.cast(target, "float32")
    centers = (points + 0.5) * step - 0.5
    shares = _kernel((ops.expand_dims(cells, 0) - ops.expand_dims(centers, 1)) / ops.maximum(step, 1.0))
    return shares / ops.sum(shares, axis=1, keepdims=True)


def _kernel(distance):
    """Keys' kernel of a distance in cells."""
    x = ops.abs(distance)
    near = ((_A + 2.0) * x - (_A + 3.0)) * x * x + 1.0
    far = ((_A * x - 5.0 * _A) * x + 8.0 * _A) * x - 4.0 * _A
    return ops.where(x < 1.0, near, ops.where(x < _SUPPORT, far, 0.0))
