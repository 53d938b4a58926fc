"""Which pixels of a padded batch belong to its images."""

from __future__ import annotations

from keras import ops


def valid_pixels(valid_size, size):
    """Where an image is not padding, bool `[B, H, W]`.

    Args:
        valid_size: int32 `[B, 2]`, (height, width) of each image's un-padded, top-left part.
        size: (H, W), integers or scalar tensors.
    """
    rows = ops.expand_dims(ops.arange(size[0], dtype="int32"), 0) < valid_size[:, :1]  # [B, H]
    columns = ops.expand_dims(ops.arange(size[1], dtype="int32"), 0) < valid_size[:, 1:]  # [B, W]
    return ops.logical_and(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
