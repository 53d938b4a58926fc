"""Non-maximum suppression: of boxes that overlap only the best one stays."""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.boxes import pairwise_iou


def suppress(boxes, exists, threshold: float):
    """Which boxes stay, bool `[B, N]`, when each one suppresses those after it that overlap it.

    Args:
        boxes: float32 `[B, N, 4]`, the best first.
        exists: bool `[B, N]`; False never stays and never suppresses.
        threshold: a box with an intersection over union above this goes.

    Source: the greedy rule of Felzenszwalb et al. 2010, section 3; `torchvision.ops.nms` (strictly above).
    """
    return keep_greedily(pairwise_iou(boxes, boxes) > threshold, exists)


def keep_greedily(rejects, exists):
    """Which candidates stay, bool `[B, N]`, when each one that stays rejects some of those after it.

    The greedy answer as a fixed point: a candidate stays if none that stays stands before it and rejects it. From the
    first guess, that all stay, a few rounds settle it, each one a product with the matrix.

    Args:
        rejects: bool `[B, N, N]`, whether the candidate of the column rejects that of the row, if it stands before it.
        exists: bool `[B, N]`; False never stays and never rejects.
    """
    count = ops.shape(exists)[1]
    place = ops.arange(count, dtype="int32")
    before = ops.expand_dims(place, 0) < ops.expand_dims(place, 1)  # [N, N]: the column stands before the row
    rejects = ops.cast(ops.logical_and(rejects, before), "float32")
    exists = ops.cast(exists, "float32")

    def settle(keep, _):
        rejected = ops.squeeze(ops.matmul(rejects, ops.expand_dims(keep, -1)), -1) > 0.5
        new = ops.where(rejected, 0.0, exists)
        return new, ops.any(new != keep)

    keep, _ = ops.while_loop(lambda keep, changed: changed, settle, (exists, ops.convert_to_tensor(True)))
    return keep > 0.5
