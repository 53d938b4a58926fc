"""Proposals: the best boxes of a region proposal network, of all levels.

Source: Ren et al. 2015; Lin et al. 2017 (FPN); Detectron2 `modeling/proposal_generator/proposal_utils.py`: the best of
each level, clipped, suppressed within their level, then the best of all levels.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.boxes import clip_boxes, decode_boxes
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.nms import suppress


def propose(logits: list, deltas: list, anchors: list, valid_size, per_level: int, count: int, overlap: float) -> tuple:
    """The best `count` boxes of each image, the best first; no gradient flows through them.

    Args:
        logits: float32 `[B, n]` of each level.
        deltas: float32 `[B, n, 4]` of each level, from the anchors.
        anchors: float32 `[n, 4]` of each level.
        valid_size: int32 `[B, 2]`; boxes are clipped to it, and those without area left go.
        per_level: boxes of each level before the suppression.
        count: boxes of each image after it.
        overlap: intersection over union above which the worse of two boxes of a level goes.

    Returns:
        `boxes` float32 `[B, count, 4]`, 0 in empty places
        `scores` float32 `[B, count]`, logits, `LOWEST` in empty places
    """
    kept_boxes, kept_scores = [], []
    for scores, shifts, references in zip(logits, deltas, anchors, strict=True):
        best, index = ops.top_k(ops.stop_gradient(scores), _at_most(per_level, ops.shape(scores)[1]))
        shifts = ops.take_along_axis(ops.stop_gradient(shifts), ops.expand_dims(index, -1), axis=1)
        boxes = clip_boxes(decode_boxes(shifts, ops.take(references, index, axis=0)), valid_size)
        has_area = ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        kept_boxes.append(boxes)
        kept_scores.append(ops.where(suppress(boxes, has_area, overlap), best, LOWEST))
    # There may be fewer than `count`.
    boxes = ops.pad(ops.concatenate(kept_boxes, axis=1), ((0, 0), (0, count), (0, 0)))
    scores = ops.pad(ops.concatenate(kept_scores, axis=1), ((0, 0), (0, count)), constant_values=LOWEST)
    scores, index = ops.top_k(scores, count)
    boxes = ops.take_along_axis(boxes, ops.expand_dims(index, -1), axis=1)
    return ops.where(ops.expand_dims(scores > LOWEST, -1), boxes, 0.0), scores


def _at_most(limit: int, length):
    """The smaller of the two; `length` may be a tensor."""
    return min(limit, length) if isinstance(length, int) else ops.minimum(limit, length)
