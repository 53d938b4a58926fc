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
    edge = 1.0 if align_corners else 0.0
    factors = [
        # A single row or column has no length to scale.
        (ops.cast(large, "float32") - edge) / ops.maximum(ops.cast(small, "float32") - edge, 1.0)
        for small, large in zip(ops.shape(offset)[1:3], size, strict=True)
    ]
    return resize_bilinear(offset, size, align_corners) * ops.tile(ops.stack(factors), (offset.shape[-1] // 2,))
