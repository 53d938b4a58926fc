"""The best instance channel of every pixel, without holding one full-size map for each detection.

The detections are added one after the other, those of a class together, so that a few maps do for all: what the class's
kept masks occupy, the largest instance logit with its detection, and the largest semantic part.

Source: Xiong et al. 2019, sections 3.3 and 3.4; UPSNet `operators/modules/unary_logits.py`, `mask_removal.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from tfpanoptic.ops.channels import class_maps
from tfpanoptic.ops.instance_box import pasted_logits, semantic_cells
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.resize import resize_bilinear


class BestInstance(NamedTuple):
    """What the panoptic logits need to know of all kept detections at each pixel.

    Attributes:
        place: int32 `[B, H, W]`, the detection with the largest instance logit, the first of equal ones; -1 where the
            image has none.
        logit: float32 `[B, H, W]`, its instance logit; `LOWEST` where the image has none.
        semantic_part: float32 `[B, H, W]`, the largest semantic part of all kept detections; likewise.
    """

    place: Any
    logit: Any
    semantic_part: Any


def best_instance(
    semantic_logits, boxes, box_category, mask_logits, valid, channels: tuple[int, ...], removal_overlap: float
) -> BestInstance:
    """The best of each image's instance logits, after the removal of masks that overlap others of their class.

    A detection's logit is the enlarged semantic logit of its class inside its box plus its mask's logit, 0 outside.
    By descending score, a detection whose mask is empty, or overlaps the kept masks of its class by more than
    `removal_overlap` of its own pixels, is removed.

    Args:
        semantic_logits: float32 `[B, h, w, K]`.
        boxes: float32 `[B, N, 4]`, (y1, x1, y2, x2) in pixels, ends exclusive, by descending score.
        box_category: int32 `[B, N]`, 0 in empty places.
        mask_logits: float32 `[B, N, m, m]`, of each box's class.
        valid: bool `[B, H, W]`, the pixels of each image; masks have none outside.
        channels: category id of each of the K channels.
        removal_overlap: the share, 0 to 1.
    """
    size = ops.shape(valid)[1:]
    order = _by_class(box_category, max(channels))
    boxes, category, mask_logits = (_at_places(x, order) for x in (boxes, box_category, mask_logits))
    first_of_class = category != ops.pad(category, ((0, 0), (1, 0)))[:, :-1]
    maps, map_of_place = class_maps(semantic_logits, category, channels)
    # A float32 map of places: TensorFlow compares int32 on the host, even of tensors on a GPU.
    places = ops.cast(order, "float32")

    def add_detection(step, occupied, place, logit, part):
        box, here, mask, new_class, its_map, its_place = (
            ops.take(x, step, axis=1) for x in (boxes, category, mask_logits, first_of_class, map_of_place, places)
        )
        pasted = pasted_logits(box, mask, size)
        covered = ops.logical_and(pasted > 0, valid)
        occupied = ops.logical_and(occupied, _on_maps(ops.logical_not(new_class)))
        kept = _on_maps(ops.logical_and(here > 0, _is_free(covered, occupied, removal_overlap)))

        class_map = ops.expand_dims(ops.take(maps, its_map, axis=0), -1)
        enlarged = resize_bilinear(class_map, size, align_corners=False)
        its_part = ops.where(semantic_cells(box, size), ops.squeeze(enlarged, -1), 0.0)
        its_logit, its_place = its_part + pasted, _on_maps(its_place)
        earlier = ops.logical_and(its_logit == logit, its_place < place)
        better = ops.logical_and(kept, ops.logical_or(its_logit > logit, earlier))
        return (
            step + 1,
            ops.logical_or(occupied, ops.logical_and(covered, kept)),
            ops.where(better, its_place, place),
            ops.where(better, its_logit, logit),
            ops.where(ops.logical_and(kept, its_part > part), its_part, part),
        )

    count = ops.max(ops.sum(ops.cast(box_category > 0, "int32"), axis=1))
    # Nothing is occupied. Made from both, as the batch's size may be known of one alone and a loop keeps its shapes.
    occupied = ops.logical_and(valid, _on_maps(box_category[:, 0] < 0))
    nothing = ops.where(occupied, 0.0, LOWEST)
    start = (ops.zeros((), "int32"), occupied, ops.where(occupied, 0.0, -1.0), nothing, nothing)
    _, _, place, logit, part = ops.while_loop(lambda step, *_: step < count, add_detection, start)
    return BestInstance(ops.cast(place, "int32"), logit, part)


def _by_class(box_category, last: int):
    """Places by class, those of one class as they are, empty ones at the end: int32 `[B, N]`."""
    count = box_category.shape[1]
    key = ops.where(box_category > 0, box_category, last + 1) * count + np.arange(count, dtype=np.int32)
    return ops.cast(ops.top_k(-ops.cast(key, "float32"), count)[1], "int32")


def _at_places(x, order):
    """`x` `[B, N, ...]` in another order of its places, int32 `[B, N]`."""
    batch, count = ops.shape(order)
    image = ops.expand_dims(ops.arange(batch, dtype="int32") * count, 1)
    return ops.take(ops.reshape(x, (-1, *x.shape[2:])), image + order, axis=0)


def _is_free(covered, occupied, removal_overlap: float):
    """Whether each image's mask has pixels and few enough of them are occupied, bool `[B]`.

    Args:
        covered, occupied: bool `[B, H, W]`. Sums of float32 count them exactly below 2**24 pixels.
        removal_overlap: the share of occupied pixels up to which a mask is free.
    """
    area = ops.sum(ops.cast(covered, "float32"), axis=(1, 2))
    overlap = ops.sum(ops.cast(ops.logical_and(covered, occupied), "float32"), axis=(1, 2))
    return ops.logical_and(area > 0, overlap / ops.maximum(area, 1.0) <= removal_overlap)


def _on_maps(x):
    """`x` `[B]` as `[B, 1, 1]`."""
    return ops.reshape(x, (-1, 1, 1))
