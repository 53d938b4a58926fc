"""UPSNet's loss of the semantic head inside the true boxes, so that small instances count as much as large ones."""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.losses.classification import pixel_cross_entropy
from tfpanoptic.losses.detection import number_of
from tfpanoptic.ops.channels import channel_of
from tfpanoptic.ops.instance_box import last_pixel_ends
from tfpanoptic.ops.segments import look_up


def roi_semantic_loss(scores, semantic, boxes, exists, channels: tuple[int, ...]):
    """Cross entropy summed over the labelled cells of each image's boxes, float32 `[B]`.

    Args:
        scores: float `[B, N, m, m, K]`, semantic logits aligned to each box.
        semantic: int32 `[B, H, W]`, category ids; 0, and ids that no channel has, are ignored.
        boxes: float32 `[B, N, 4]`, (y1, x1, y2, x2) in pixels, ends exclusive.
        exists: bool `[B, N]`, the boxes that count.
        channels: category id of each of the K channels.

    Source: Xiong et al. 2019, section 3.2; UPSNet `models/fcn.py`, `mask/mask_transform.py`.
    """
    channel = channel_of(roi_categories(semantic, boxes, scores.shape[2]), channels)
    return pixel_cross_entropy(scores, ops.where(ops.expand_dims(exists, (2, 3)), channel, -1))


def roi_semantic_count(exists, side: int = 28):
    """What the loss is divided by, float32 `[B]`: all cells of each image's boxes, ignored ones included.

    Args:
        exists: bool `[B, N]`, the boxes that count.
        side: cells of a box along each axis.
    """
    return number_of(exists) * float(side**2)


def roi_categories(semantic, boxes, side: int):
    """The category of each cell of each box, int32 `[B, N, side, side]`.

    The crop has the rows round(first)..round(last) - 1 of the box that ends in its last pixel, at least one; cell i
    reads row i * height // side of it. Halves are rounded to the even number.

    Args:
        semantic: int32 `[B, H, W]`.
        boxes: float32 `[B, N, 4]`, (y1, x1, y2, x2) in pixels, ends exclusive.
        side: cells along each axis.

    Source: UPSNet `mask/mask_transform.py`.
    """
    batch, height, width = ops.shape(semantic)
    ends = ops.cast(ops.round(last_pixel_ends(boxes)), "int32")
    cells = np.arange(side, dtype=np.int32)
    rows, columns = (
        _between(first + cells * ops.maximum(last - first, 1) // side, length)
        for first, last, length in (
            (ends[..., 0:1], ends[..., 2:3], height),
            (ends[..., 1:2], ends[..., 3:4], width),
        )
    )  # [B, N, side]
    pixel = ops.expand_dims(rows * width, 3) + ops.expand_dims(columns, 2)
    found = look_up(ops.reshape(semantic, (batch, -1)), ops.reshape(pixel, (batch, -1)))
    return ops.reshape(found, ops.shape(pixel))


def _between(index, length):
    return ops.minimum(ops.maximum(index, 0), length - 1)
