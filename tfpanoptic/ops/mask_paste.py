"""From the mask of a box on a small grid to a mask of the image.

Source: Detectron2 `layers/mask_ops.py`: pixel centres, bilinear, 0 outside of the grid.
"""

from __future__ import annotations

from keras import ops


def paste_masks(masks, boxes, size, valid_size):
    """One mask of each image in its place, float32 `[B, H, W]`; 0 outside the box and outside the image.

    Args:
        masks: float32 `[B, m, m]`, probabilities.
        boxes: float32 `[B, 4]` in pixels.
        size: (H, W).
        valid_size: int32 `[B, 2]`, (height, width) of each image's un-padded part.
    """
    side = masks.shape[-1]
    rows = _interpolation(boxes[:, 0], boxes[:, 2], size[0], valid_size[:, 0], side)
    columns = _interpolation(boxes[:, 1], boxes[:, 3], size[1], valid_size[:, 1], side)
    return ops.matmul(ops.matmul(rows, masks), ops.transpose(columns, (0, 2, 1)))


def _interpolation(low, high, length, valid, side: int):
    """Share of each mask cell in each pixel along one axis, float32 `[B, length, side]`; 0 from `valid` on."""
    middle = ops.expand_dims(ops.arange(length, dtype="float32") + 0.5, 0)
    inside = ops.expand_dims(middle < ops.expand_dims(ops.cast(valid, "float32"), 1), 2)
    low, extent = ops.expand_dims(low, 1), ops.expand_dims(ops.maximum(high - low, 1e-6), 1)
    at = (middle - low) / extent * side - 0.5  # [B, length], in cells of the mask
    cells = ops.reshape(ops.arange(side, dtype="float32"), (1, 1, -1))
    return ops.where(inside, ops.maximum(1.0 - ops.abs(ops.expand_dims(at, 2) - cells), 0.0), 0.0)
