"""Boxes: (y1, x1, y2, x2) in pixels, continuous coordinates, the end exclusive.

Pixel i covers i to i + 1, so a box around rows 2, 3 and 4 is 2 to 5 and has a height of 3. No `+ 1` anywhere.
"""

from __future__ import annotations

import math

from keras import ops

# A decoded box is at most this many times as large as its reference. Source: Detectron2 `modeling/box_regression.py`.
LARGEST_GROWTH = math.log(1000.0 / 16.0)


def box_area(boxes):
    """Areas of boxes `[..., 4]`, `[...]`."""
    y1, x1, y2, x2 = _sides(boxes)
    return (y2 - y1) * (x2 - x1)


def pairwise_iou(boxes, others):
    """Intersection over union of every pair, float32 `[B, N, M]`; 0 where they do not meet.

    Args:
        boxes: float32 `[B, N, 4]`.
        others: float32 `[B, M, 4]`.
    """
    boxes, others = ops.expand_dims(boxes, 2), ops.expand_dims(others, 1)
    # One coordinate after the other: a hundred boxes and a quarter of a million anchors make 100 MB each.
    down, across = (
        ops.maximum(
            ops.minimum(boxes[..., axis + 2], others[..., axis + 2]) - ops.maximum(boxes[..., axis], others[..., axis]),
            0.0,
        )
        for axis in (0, 1)
    )
    shared = down * across
    union = box_area(boxes) + box_area(others) - shared
    return ops.where(shared > 0, shared / ops.where(shared > 0, union, 1.0), 0.0)


def clip_boxes(boxes, valid_size):
    """Boxes cut to the image.

    Args:
        boxes: float32 `[B, N, 4]`.
        valid_size: int32 `[B, 2]`, (height, width) of each image's un-padded part.

    Returns:
        float32 `[B, N, 4]`; a box outside becomes one without area on the image's border.

    Source: Ren et al. 2015, section 3.3.
    """
    limit = ops.cast(ops.expand_dims(ops.tile(valid_size, (1, 2)), 1), boxes.dtype)  # [B, 1, 4]
    return ops.minimum(ops.maximum(boxes, 0.0), limit)


def encode_boxes(boxes, references, weights: tuple[float, float] = (1.0, 1.0)):
    """Deltas (dy, dx, dh, dw) that lead from the references to the boxes, float32 `[..., 4]`.

    Args:
        boxes: float32 `[..., 4]`.
        references: float32 `[..., 4]`, anchors or proposals; those without area give no finite deltas.
        weights: factor of (dy, dx) and of (dh, dw).

    Source: Girshick et al. 2014, appendix C, with the weights of Detectron2 `modeling/box_regression.py`.
    """
    center, size = _center_and_size(boxes)
    from_center, from_size = _center_and_size(references)
    shift = weights[0] * (center - from_center) / from_size
    growth = weights[1] * ops.log(size / from_size)
    return ops.concatenate([shift, growth], axis=-1)


def decode_boxes(deltas, references, weights: tuple[float, float] = (1.0, 1.0)):
    """The boxes that deltas (dy, dx, dh, dw) lead to from the references, float32 `[..., 4]`.

    Args: as `encode_boxes`. Growth is limited to a factor of 62.5.
    """
    center, size = _center_and_size(references)
    center = deltas[..., :2] / weights[0] * size + center
    half = 0.5 * ops.exp(ops.minimum(deltas[..., 2:] / weights[1], LARGEST_GROWTH)) * size
    return ops.concatenate([center - half, center + half], axis=-1)


def _sides(boxes):
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def _center_and_size(boxes):
    """(y, x) and (height, width), `[..., 2]` each."""
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * size, size
