"""Merging of Panoptic FPN: instances by their score, then stuff where they left room.

Source: Kirillov et al. 2019 (Panoptic Segmentation), section 7; Detectron2 `modeling/meta_arch/panoptic_fpn.py`. One
difference: it happens at network size, and the finished map goes to the file's size; Detectron2 enlarges boxes and
logits first.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.architecture import Segments
from tfpanoptic.ops.enlarged_logits import best_channel
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.mask_paste import paste_masks
from tfpanoptic.ops.segments import count_keys, look_up
from tfpanoptic.ops.valid import valid_pixels
from tfpanoptic.postprocess.instance_labels import labels_in_order
from tfpanoptic.postprocess.mean_probability import mean_probability
from tfpanoptic.postprocess.stuff_rows import by_category, stuff_labels


def panoptic_fpn_postprocess(
    outputs: dict,
    size,
    valid_size,
    channels: tuple[int, ...],
    stuff_ids: tuple[int, ...],
    num_categories: int,
    instance_score: float,
    overlap: float,
    stuff_area: int,
) -> Segments:
    """Segments of each image at network size: a row for each of N detections, then one for each stuff category.

    Instances are pasted by falling score; one that has more than `overlap` of its mask covered already is dropped, of
    another what is free is taken. One image-sized mask of each image exists at a time.

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`; `boxes` `[B, N, 4]`, `scores` `[B, N]`, falling, `box_category` int32
            `[B, N]`, 0 in empty places, and `mask_logits` `[B, N, m, m]`.
        size: (H, W) of the network's input.
        valid_size: int32 `[B, 2]`; pixels outside are void.
        channels: category id of each of the K channels; a pixel whose best channel is no stuff category stays void
            where there is no instance.
        stuff_ids: category ids of the stuff.
        num_categories: C.
        instance_score: detections below it are dropped.
        overlap: largest covered share of a mask.
        stuff_area: stuff categories with fewer pixels become void.

    Returns:
        `Segments`; the score of an instance is its detection's, that of stuff the mean probability of its category.
    """
    valid = valid_pixels(valid_size, size)
    instance, kept = _paste_instances(outputs, size, valid_size, instance_score, overlap)
    logits = ops.cast(outputs["semantic_logits"], "float32")
    channel, log_sum_exp = best_channel(logits, size, align_corners=False)
    semantic = gather(np.asarray(channels, np.int32), channel)
    free = ops.logical_and(valid, instance == 0)
    count = ops.shape(kept)[1]
    segment_ids, of_stuff, stuff_areas = _add_stuff(
        instance, semantic, free, stuff_ids, num_categories, count, stuff_area
    )
    thing_labels = labels_in_order(ops.where(kept, outputs["box_category"], 0))
    labels = ops.concatenate([thing_labels, of_stuff], axis=1)
    # Only the scores of stuff are asked for.
    areas = ops.concatenate([ops.ones_like(thing_labels), stuff_areas], axis=1)
    probability = mean_probability(segment_ids, labels, areas, logits, log_sum_exp, channels, False)
    scores = ops.concatenate([ops.where(kept, outputs["scores"], 0.0), probability[:, count:]], axis=1)
    return Segments(segment_ids, labels, scores)


def _paste_instances(outputs: dict, size, valid_size, instance_score: float, overlap: float):
    """Row + 1 of the instance at each pixel, int32 `[B, H, W]`, and which rows were kept, bool `[B, N]`."""
    boxes, scores = outputs["boxes"], outputs["scores"]
    candidate = ops.logical_and(outputs["box_category"] > 0, scores >= instance_score)
    batch, count = ops.shape(scores)
    # Scores fall, so the last candidate ends the loop.
    most = ops.max(ops.sum(ops.cast(candidate, "int32"), axis=1))
    probabilities = ops.sigmoid(ops.cast(outputs["mask_logits"], "float32"))
    place = ops.expand_dims(ops.arange(count, dtype="int32"), 0)

    def paste(row, instance, kept):
        box, probability = ops.take(boxes, row, axis=1), ops.take(probabilities, row, axis=1)
        mask = paste_masks(probability, box, size, valid_size) >= 0.5
        free = ops.logical_and(mask, instance == 0)
        area, left = _pixels(mask), _pixels(free)
        fits = ops.logical_and(area > 0, area - left <= overlap * area)
        # An instance of which no pixel is left is none.
        fits = ops.logical_and(ops.logical_and(fits, left > 0), ops.take(candidate, row, axis=1))
        kept = ops.logical_or(kept, ops.logical_and(place == row, ops.expand_dims(fits, 1)))
        number = ops.reshape(ops.where(fits, row + 1, 0), (-1, 1, 1))
        return row + 1, ops.where(free, number, instance), kept

    start = (
        ops.convert_to_tensor(0, "int32"),
        ops.zeros((batch, *size), "int32"),
        ops.zeros((batch, count), "bool"),
    )
    _, instance, kept = ops.while_loop(lambda row, *_: row < most, paste, start)
    return instance, kept


def _pixels(mask):
    """Number of pixels of each mask bool `[B, H, W]`, float32 `[B]`; exact below 2**24, as are the sums of its rows."""
    rows = ops.cast(mask, "float32")
    ones = ops.ones((ops.shape(mask)[2], 1), "float32")
    return ops.sum(ops.matmul(rows, ones), axis=(1, 2))


def _add_stuff(instance, semantic, free, stuff_ids, num_categories: int, count: int, stuff_area: int):
    """Segment ids int32 `[B, H, W]` with stuff on the free pixels; labels and areas of its rows, int32 `[B, S]`.

    Those rows follow `count` rows of detections.
    """
    batch, height, width = ops.shape(semantic)
    semantic = ops.reshape(ops.where(free, semantic, 0), (batch, height * width))
    areas = ops.take(count_keys(semantic, num_categories + 1), np.asarray(stuff_ids, np.int32), axis=1)
    labels = stuff_labels(areas, stuff_ids, stuff_area)
    rows = ops.where(labels > 0, ops.arange(1, len(stuff_ids) + 1, dtype="int32") + count, 0)
    stuff = look_up(by_category(rows, stuff_ids, num_categories), semantic)
    return ops.where(free, ops.reshape(stuff, (batch, height, width)), instance), labels, areas
