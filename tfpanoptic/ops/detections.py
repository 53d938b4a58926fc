"""Detections: from the class scores and boxes of all regions to a fixed number of instances.

Source: Girshick 2015 (Fast R-CNN); Detectron2 `modeling/roi_heads/fast_rcnn.py`, `fast_rcnn_inference`; UPSNet's
suppression over all classes at once: Xiong et al. 2019, section 3.2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.ops.argmax import argmax
from tfpanoptic.ops.boxes import pairwise_iou
from tfpanoptic.ops.nms import suppress


class Detections(NamedTuple):
    """The instances of each image, the best first; zeros in empty places.

    Attributes:
        boxes: float32 `[B, N, 4]` in pixels.
        scores: float32 `[B, N]`.
        index: int32 `[B, N]`, class, 0..K - 1.
    """

    boxes: Any
    scores: Any
    index: Any


def detect_by_class(boxes, scores, count: int, score: float, overlap: float) -> Detections:
    """The best `count` pairs of a region and a class, where boxes of one class suppress each other.

    The best pair is taken, those of its class that overlap it go, and so on: exact, whatever the number of candidates,
    and without a matrix of all their overlaps.

    Args:
        boxes: float32 `[B, R, K, 4]`, of each region for each class.
        scores: float32 `[B, R, K]`, probabilities, 0 where a region does not exist.
        count: N.
        score: pairs with a probability up to this go.
        overlap: intersection over union above which the worse of two boxes of a class goes.
    """
    batch, regions, classes = ops.shape(scores)
    by_class = ops.transpose(boxes, (0, 2, 1, 3))  # [B, K, R, 4]
    scores = ops.transpose(ops.where(scores > score, scores, 0.0), (0, 2, 1))
    place = ops.expand_dims(ops.arange(count, dtype="int32"), 0)
    of_class = ops.reshape(ops.arange(classes, dtype="int32"), (1, -1, 1))

    def take_best(number, scores, found):
        flat = ops.reshape(scores, (batch, classes * regions))
        best = ops.expand_dims(argmax(flat), 1)  # [B, 1]
        height = ops.take_along_axis(flat, best, axis=1)
        index, region = best // regions, best % regions
        rivals = ops.take_along_axis(by_class, ops.reshape(index, (-1, 1, 1, 1)), axis=1)[:, 0]  # [B, R, 4]
        box = ops.take_along_axis(rivals, ops.expand_dims(region, -1), axis=1)  # [B, 1, 4]
        # The box itself goes, too, even one without area.
        gone = ops.logical_or(
            pairwise_iou(box, rivals)[:, 0] > overlap, ops.expand_dims(ops.arange(regions, dtype="int32"), 0) == region
        )
        gone = ops.logical_and(ops.expand_dims(index, -1) == of_class, ops.expand_dims(gone, 1))
        here = ops.logical_and(place == number, height > 0)
        boxes, heights, indices = found
        found = (
            ops.where(ops.expand_dims(here, -1), box, boxes),
            ops.where(here, height, heights),
            ops.where(here, index, indices),
        )
        return number + 1, ops.where(gone, 0.0, scores), found

    def some_left(number, scores, _):
        return ops.logical_and(number < count, ops.max(scores) > 0)

    empty = (
        ops.zeros((batch, count, 4), "float32"),
        ops.zeros((batch, count), "float32"),
        ops.zeros((batch, count), "int32"),
    )
    _, _, found = ops.while_loop(some_left, take_best, (ops.convert_to_tensor(0, "int32"), scores, empty))
    return Detections(*found)


def detect_over_classes(boxes, scores, count: int, score: float, overlap: float) -> Detections:
    """The best `count` pairs of a region and a class, where boxes suppress each other whatever their class.

    As many pairs as there are regions are looked at, which are all pairs from a `score` of one half on: then a region
    has one at most.

    Args: as `detect_by_class`.
    """
    batch, regions, classes = ops.shape(scores)
    flat = ops.reshape(ops.where(scores > score, scores, 0.0), (batch, regions * classes))
    height, best = ops.top_k(flat, regions)
    flat_boxes = ops.reshape(boxes, (batch, regions * classes, 4))
    ordered = ops.take_along_axis(flat_boxes, ops.expand_dims(best, -1), axis=1)
    height = ops.where(suppress(ordered, height > 0, overlap), height, 0.0)
    # There may be fewer regions than places.
    height = ops.pad(height, ((0, 0), (0, count)))
    height, order = ops.top_k(height, count)
    order = ops.minimum(order, regions - 1)
    exists = height > 0
    boxes = ops.take_along_axis(ordered, ops.expand_dims(order, -1), axis=1)
    index = ops.cast(ops.take_along_axis(best, order, axis=1), "int32") % classes
    return Detections(ops.where(ops.expand_dims(exists, -1), boxes, 0.0), height, ops.where(exists, index, 0))


def drop_detections(outputs: dict, score: float) -> dict:
    """Outputs without the detections up to a score, whose places become empty.

    Args:
        outputs: with `scores` float32 `[B, N]` and `box_category` int32 `[B, N]`; the rest stays.
        score: as in `detect_by_class`.
    """
    stays = outputs["scores"] > score
    return {
        **outputs,
        "scores": ops.where(stays, outputs["scores"], 0.0),
        "box_category": ops.where(stays, outputs["box_category"], 0),
    }
