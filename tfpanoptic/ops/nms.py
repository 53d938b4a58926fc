"""Non-maximum suppression: of boxes that overlap only the best one stays."""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.boxes import pairwise_iou


def suppress(boxes, exists, threshold: float):
    """Which boxes stay, bool `[B, N]`, when each one suppresses those after it that overlap it.

    The greedy answer as a fixed point: a box stays if no box that stays stands before it and overlaps it. From the
    first guess, that all stay, a few rounds settle it, each one a product with the matrix of overlaps.

    Args:
        boxes: float32 `[B, N, 4]`, the best first.
        exists: bool `[B, N]`; False never stays and never suppresses.
        threshold: a box with an intersection over union above this goes.

    Source: the greedy rule of Felzenszwalb et al. 2010, section 3; `torchvision.ops.nms` (strictly above).
    """
    count = ops.shape(boxes)[1]
    place = ops.arange(count, dtype="int32")
    before = ops.expand_dims(place, 0) < ops.expand_dims(place, 1)  # [N, N]: the column stands before the row
    overlaps = ops.cast(ops.logical_and(pairwise_iou(boxes, boxes) > threshold, before), "float32")
    exists = ops.cast(exists, "float32")

    def settle(keep, _):
        suppressed = ops.squeeze(ops.matmul(overlaps, ops.expand_dims(keep, -1)), -1) > 0.5
        new = ops.where(suppressed, 0.0, exists)
        return new, ops.any(new != keep)

    keep, _ = ops.while_loop(lambda keep, changed: changed, settle, (exists, ops.convert_to_tensor(True)))
    return keep > 0.5
