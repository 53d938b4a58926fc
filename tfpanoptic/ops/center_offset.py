"""Enlarging maps of offsets: their values are lengths on the grid and grow with it."""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.resize import resize_bilinear


def enlarge_offset(offset, size, align_corners: bool):
    """Offsets on another grid, in pixels of that grid.

    Args:
        offset: float32 `[B, h, w, 2 * N]`, N times (dy, dx) in pixels of its own grid.
        size: (H, W), ints or scalar tensors.
        align_corners: the grid rule; the values grow by (H - 1) / (h - 1), else by H / h, each axis by its own.

    Returns:
        float32 `[B, H, W, 2 * N]`.
    """
    factors = cell_sides(ops.shape(offset)[1:3], size, align_corners)
    return resize_bilinear(offset * ops.tile(factors, (offset.shape[-1] // 2,)), size, align_corners)


def cell_sides(small, size, align_corners: bool):
    """Sides of a cell of one grid on another, float32 `[2]`.

    Args:
        small: (h, w) of its own grid.
        size: (H, W) of the other.
        align_corners: the grid rule.
    """
    edge = 1.0 if align_corners else 0.0
    return ops.stack(
        [
            # A single row or column has no length to scale.
            (ops.cast(large, "float32") - edge) / ops.maximum(ops.cast(cells, "float32") - edge, 1.0)
            for cells, large in zip(small, size, strict=True)
        ]
    )
