"""Post-processing of UPSNet: every pixel to stuff, an instance or unknown, then a clean-up by the semantic head.

Source: Xiong et al. 2019, sections 3.3 and 3.4; UPSNet `models/resnet_upsnet.py` and its clean-up of panoptic results.
Three differences: in an image without detections unknown is left out (see `losses.panoptic_logits`), of equally
frequent classes the lowest category id counts, and the clean-up counts pixels at network size, not of the image file.

A table of N + (number of stuff categories) rows describes the segments of an image: one row a detection, then one row a
stuff category. `labels` holds their panoptic-map labels, 0 in empty rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from tfpanoptic.architecture import Segments
from tfpanoptic.ops.argmax import argmax
from tfpanoptic.ops.enlarged_logits import best_channel, channel_logit
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.segments import count_keys, look_up
from tfpanoptic.ops.valid import valid_pixels
from tfpanoptic.postprocess.instance_labels import labels_in_order
from tfpanoptic.postprocess.instance_logits import best_instance
from tfpanoptic.postprocess.mean_probability import mean_probability
from tfpanoptic.postprocess.stuff_rows import by_category, stuff_labels


class PixelClasses(NamedTuple):
    """What each pixel is.

    Attributes:
        winner: int32 `[B, H, W]`; 0..N - 1 a detection, N + category id for stuff, N where void or unknown.
        semantic: int32 `[B, H, W]`, category id of the largest semantic logit.
        log_sum_exp: float32 `[B, H, W]`, of the semantic logits.
    """

    winner: Any
    semantic: Any
    log_sum_exp: Any


def upsnet_postprocess(
    outputs: dict,
    size,
    valid_size,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    num_categories: int,
    removal_overlap: float,
    stuff_area: int,
) -> Segments:
    """Segments of each image at network size, with their scores.

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`, and the detections by descending score: `boxes` `[B, N, 4]`,
            (y1, x1, y2, x2) in pixels with exclusive ends, `scores` `[B, N]`, `box_category` int32 `[B, N]`, 0 in
            empty places, and `mask_logits` `[B, N, m, m]` of each box's class.
        size: (H, W) of the network's input.
        valid_size: int32 `[B, 2]`; pixels outside are void.
        channels: category id of each of the K channels; a channel of 0 that wins makes a pixel void.
        thing_ids, num_categories, stuff_area: as in `clean_up`.
        removal_overlap: as in `best_instance`.

    Returns:
        `Segments`; a score is that of the detection, for stuff the mean probability of its category over its pixels.
    """
    logits = ops.cast(outputs["semantic_logits"], "float32")
    valid = valid_pixels(valid_size, size)
    pixels = classify_pixels(outputs, valid, channels, thing_ids, removal_overlap)
    category = outputs["box_category"]
    segments = clean_up(pixels.winner, pixels.semantic, category, thing_ids, num_categories, stuff_area)
    ids, labels, areas = (segments[name] for name in ("segment_ids", "labels", "areas"))
    probability = mean_probability(ids, labels, areas, logits, pixels.log_sum_exp, channels, False)
    things = category.shape[1]
    scores = ops.concatenate([ops.cast(outputs["scores"], "float32"), probability[:, things:]], axis=1)
    return Segments(ids, labels, ops.where(labels > 0, scores, 0.0))


def classify_pixels(
    outputs: dict, valid, channels: tuple[int, ...], thing_ids: tuple[int, ...], removal_overlap: float
) -> PixelClasses:
    """The largest panoptic logit of each pixel: of stuff, of the kept detections, or of unknown.

    Unknown is the largest thing logit less the largest semantic part of the detections. Equal logits give the first:
    stuff in the order of its channels, detections in theirs, unknown.

    Args:
        outputs, channels: as in `upsnet_postprocess`.
        valid: bool `[B, H, W]`; pixels outside are void.
        thing_ids: category ids of the things; all other channels are stuff or void.
        removal_overlap: as in `best_instance`.
    """
    logits, mask_logits = (ops.cast(outputs[name], "float32") for name in ("semantic_logits", "mask_logits"))
    isthing = np.isin(channels, thing_ids)
    size = ops.shape(valid)[1:]
    stuff, stuff_logit, stuff_sum = _best_of(logits, np.flatnonzero(~isthing), channels, size)
    thing, thing_logit, thing_sum = _best_of(logits, np.flatnonzero(isthing), channels, size)
    boxes, category = outputs["boxes"], outputs["box_category"]
    instance = best_instance(logits, boxes, category, mask_logits, valid, channels, removal_overlap)
    unknown = thing_logit - instance.semantic_part
    isunknown = ops.logical_and(instance.place >= 0, unknown > ops.maximum(stuff_logit, instance.logit))

    void = category.shape[1]
    winner = ops.where(instance.logit > stuff_logit, instance.place, stuff + void)
    winner = ops.where(ops.logical_or(isunknown, ops.logical_not(valid)), void, winner)
    semantic = ops.where(stuff_logit >= thing_logit, stuff, thing)
    return PixelClasses(winner, semantic, ops.logaddexp(stuff_sum, thing_sum))


def _best_of(logits, group: np.ndarray, channels: tuple[int, ...], size):
    """The best of some channels at each pixel of the enlarged logits, `[B, H, W]` each.

    Returns:
        its category id, int32
        its logit, float32
        the logarithm of the sum of their exponentials, float32
    """
    logits = ops.take(logits, group, axis=-1)
    channel, log_sum_exp = best_channel(logits, size, align_corners=False)
    category = gather(np.asarray(channels, np.int32)[group], channel)
    return category, channel_logit(logits, channel, align_corners=False), log_sum_exp


def clean_up(winner, semantic, box_category, thing_ids: tuple[int, ...], num_categories: int, stuff_area: int) -> dict:
    """Segments of each image, from what its pixels are.

    An instance most of whose pixels are of one class for the semantic head, and that class is stuff and has at least
    half of them, becomes that stuff; every other keeps its class. Afterwards stuff below the area limit becomes void.

    Args:
        winner, semantic: as in `PixelClasses`.
        box_category: int32 `[B, N]`, 0 in empty places.
        thing_ids: category ids of the things; all other ids in 1..num_categories are stuff.
        num_categories: C.
        stuff_area: stuff categories with fewer pixels become void.

    Returns:
        `segment_ids` int32 `[B, H, W]`, 0 void, else row + 1
        `labels` int32 `[B, rows]`, panoptic-map label of each row, 0 in empty rows
        `areas` int32 `[B, rows]`, pixels of each row
    """
    batch, height, width = ops.shape(winner)
    things, codes = box_category.shape[1], box_category.shape[1] + num_categories + 1
    winner, semantic = (ops.reshape(x, (batch, -1)) for x in (winner, semantic))  # [B, H*W]
    counts = count_keys(winner * (num_categories + 1) + semantic, codes * (num_categories + 1))
    counts = ops.reshape(counts, (batch, codes, num_categories + 1))
    areas = ops.sum(counts, axis=2)
    thing_areas = areas[:, :things]

    isstuff = np.ones(num_categories + 1, bool)
    isstuff[[0, *thing_ids]] = False
    stuff_ids = np.flatnonzero(isstuff).astype(np.int32)
    becomes = _stuff_instead(counts[:, :things], thing_areas, isstuff)
    thing_labels = labels_in_order(ops.where(ops.logical_and(thing_areas > 0, becomes == 0), box_category, 0))
    joins = ops.cast(ops.expand_dims(becomes, 2) == stuff_ids, "int32")  # [B, N, stuff]
    joined_areas = ops.sum(joins * ops.expand_dims(thing_areas, 2), axis=1)
    stuff_areas = ops.take(areas[:, things:], stuff_ids, axis=1) + joined_areas

    labels = ops.concatenate([thing_labels, stuff_labels(stuff_areas, stuff_ids, stuff_area)], axis=1)
    rows = ops.where(labels > 0, np.arange(1, things + len(stuff_ids) + 1, dtype=np.int32), 0)
    row_of_category = by_category(rows[:, things:], stuff_ids, num_categories)
    row_of_thing = ops.where(becomes > 0, look_up(row_of_category, becomes), rows[:, :things])
    row_of_winner = ops.concatenate([row_of_thing, row_of_category], axis=1)  # [B, codes]
    return {
        "segment_ids": ops.reshape(look_up(row_of_winner, winner), (batch, height, width)),
        "labels": labels,
        "areas": ops.where(labels > 0, ops.concatenate([thing_areas, stuff_areas], axis=1), 0),
    }


def _stuff_instead(votes, areas, isstuff: np.ndarray):
    """The stuff category that each instance becomes, int32 `[B, N]`; 0 for instances that stay things.

    Args:
        votes: int32 `[B, N, C + 1]`, pixels of each category of the semantic head.
        areas: int32 `[B, N]`, their sum.
        isstuff: bool `[C + 1]`.
    """
    majority = argmax(votes)
    enough = 2 * ops.max(votes, axis=2) >= areas
    return ops.where(ops.logical_and(ops.take(isstuff, majority, axis=0), enough), majority, 0)
