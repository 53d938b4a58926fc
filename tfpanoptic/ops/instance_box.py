"""UPSNet's rules for the cells of a box: where its class's semantic logits count, and where its mask is pasted.

UPSNet's boxes end in the last pixel, (y1, x1, y2 - 1, x2 - 1) of ours, and are divided by the map's stride afterwards.
The semantic rule rounds the last end, the mask's truncates it, so the two may differ by one row or column.
"""

from __future__ import annotations

import numpy as np
from keras import ops


def last_pixel_ends(boxes, stride: int = 1):
    """Boxes that end in their last pixel, float32 [..., 4], (y, x, y, x) in cells of a map.

    Args:
        boxes: float32 [..., 4], (y1, x1, y2, x2) in pixels, ends exclusive.
        stride: pixels of a cell.
    """
    return (ops.cast(boxes, "float32") - np.array([0, 0, 1, 1], np.float32)) / float(stride)


def semantic_cells(boxes, size, stride: int = 1):
    """The cells of a map that belong to each box, bool [..., h, w].

    Its rows and columns are int(first)..round(last), both included; halves are rounded to the even number.

    Args:
        boxes: float32 [..., 4], (y1, x1, y2, x2) in pixels, ends exclusive.
        size: (h, w) of the map.
        stride: pixels of a cell.

    Source: Xiong et al. 2019, section 3.3; UPSNet `operators/modules/unary_logits.py`.
    """
    ends = last_pixel_ends(boxes, stride)
    first, last = ops.cast(ends[..., :2], "int32"), ops.cast(ops.round(ends[..., 2:]), "int32")
    lines = (ops.arange(length, dtype="int32") for length in size)
    rows, columns = (
        ops.logical_and(line >= first[..., axis : axis + 1], line <= last[..., axis : axis + 1])
        for axis, line in enumerate(lines)
    )
    return ops.logical_and(ops.expand_dims(rows, -1), ops.expand_dims(columns, -2))


def pasted_logits(boxes, mask_logits, size, stride: int = 1):
    """Each mask's logits enlarged to its box, float32 [..., h, w]; 0 outside.

    The ends are truncated and a side is at least one cell. Bilinear with half-pixel centres, the mask's edge repeated.

    Args:
        boxes: float32 [..., 4], (y1, x1, y2, x2) in pixels, ends exclusive.
        mask_logits: float32 [..., m, m].
        size: (h, w) of the map.
        stride: pixels of a cell.

    Source: Xiong et al. 2019, section 3.3; UPSNet `operators/modules/unary_logits.py`.
    """
    ends = ops.cast(last_pixel_ends(boxes, stride), "int32")
    down, across = (
        _interpolation(ends[..., axis : axis + 1], ends[..., axis + 2 : axis + 3], length, mask_logits.shape[-1])
        for axis, length in enumerate(size)
    )
    return ops.matmul(ops.matmul(down, mask_logits), ops.swapaxes(across, -1, -2))


def _interpolation(first, last, length, side: int):
    """The share of each of `side` mask cells in each of `length` map cells, float32 [..., length, side].

    Args:
        first, last: int32 [..., 1], the map cells that the mask covers; 0 everywhere outside.
    """
    extent = ops.maximum(last - first + 1, 1)
    place = ops.arange(length, dtype="int32") - first  # [..., length]
    inside = ops.logical_and(place >= 0, place < extent)
    at = (ops.cast(place, "float32") + 0.5) * (side / ops.cast(extent, "float32")) - 0.5
    at = ops.minimum(ops.maximum(at, 0.0), side - 1.0)
    distance = ops.abs(ops.expand_dims(at, -1) - np.arange(side, dtype=np.float32))
    return ops.where(ops.expand_dims(inside, -1), ops.maximum(1.0 - distance, 0.0), 0.0)
