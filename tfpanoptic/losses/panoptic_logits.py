"""UPSNet's panoptic loss: every pixel classified among stuff, the image's instances and "unknown".

Channels of the panoptic logits: the S stuff channels in the order of the semantic logits, N instances, unknown. Some
true instances are dropped in training; their pixels are what unknown learns from. In an image without instances every
pixel would be unknown by its formula, so the channel is left out there (own choice).

Source: Xiong et al. 2019, section 3.3; UPSNet `models/resnet_upsnet.py`, `operators/modules/mask_matching.py`.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.losses.classification import pixel_cross_entropy
from tfpanoptic.ops.channels import channel_of, class_maps
from tfpanoptic.ops.instance_box import pasted_logits, semantic_cells
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.segments import look_up


def panoptic_logits_loss(
    semantic_logits,
    boxes,
    box_category,
    kept,
    mask_logits,
    semantic,
    instance_map,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    stride: int = 4,
):
    """Cross entropy of the panoptic logits, summed over the labelled cells of each image, float32 `[B]`.

    Args:
        semantic_logits, boxes, box_category, kept, mask_logits, channels, thing_ids, stride: as in `panoptic_logits`.
        semantic, instance_map: as in `panoptic_target`.
    """
    logits = panoptic_logits(semantic_logits, boxes, box_category, kept, mask_logits, channels, thing_ids, stride)
    target = panoptic_target(semantic, instance_map, box_category, kept, channels, thing_ids, stride)
    return pixel_cross_entropy(logits, target)


def panoptic_logits_count(valid_size, stride: int = 4):
    """What the loss is divided by, float32 `[B]`: all cells of each image, ignored ones included.

    Args:
        valid_size: int32 `[B, 2]`, (height, width) of each image's un-padded part.
        stride: pixels of a cell.
    """
    return ops.cast(ops.prod((valid_size + (stride - 1)) // stride, axis=1), "float32")


def panoptic_logits(
    semantic_logits,
    boxes,
    box_category,
    kept,
    mask_logits,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    stride: int = 4,
):
    """Logits of stuff, instances and unknown, float32 `[B, h, w, S + N + 1]`.

    An instance's logit is the semantic logit of its class inside its box plus its mask's logit, 0 outside. Unknown is
    the largest thing logit less the largest of these semantic parts, in which a box that misses the cell has 0.

    Args:
        semantic_logits: float32 `[B, h, w, K]`.
        boxes: float32 `[B, N, 4]`, (y1, x1, y2, x2) in pixels, ends exclusive.
        box_category: int32 `[B, N]`, 0 in empty places.
        kept: bool `[B, N]`, the instances that take part.
        mask_logits: float32 `[B, N, m, m]`, of each box's class.
        channels: category id of each of the K channels, in any order.
        thing_ids: category ids of the things; all other channels are stuff.
        stride: pixels of a cell.
    """
    kept = ops.logical_and(kept, box_category > 0)
    semantic_logits, mask_logits = ops.cast(semantic_logits, "float32"), ops.cast(mask_logits, "float32")
    maps, its_map = class_maps(semantic_logits, box_category, channels)
    size = ops.shape(maps)[1:]
    part = ops.where(semantic_cells(boxes, size, stride), ops.take(maps, its_map, axis=0), 0.0)  # [B, N, h, w]
    instances = part + pasted_logits(boxes, mask_logits, size, stride)

    takes_part = ops.expand_dims(kept, (2, 3))
    isthing = np.isin(channels, thing_ids)
    thing = ops.max(ops.take(semantic_logits, np.flatnonzero(isthing), axis=-1), axis=-1)
    unknown = thing - ops.max(ops.where(takes_part, part, LOWEST), axis=1)
    unknown = ops.where(ops.any(takes_part, axis=1), unknown, LOWEST)
    stuff = ops.take(semantic_logits, np.flatnonzero(~isthing), axis=-1)
    instances = ops.transpose(ops.where(takes_part, instances, LOWEST), (0, 2, 3, 1))
    return ops.concatenate([stuff, instances, ops.expand_dims(unknown, -1)], axis=-1)


def panoptic_target(
    semantic,
    instance_map,
    box_category,
    kept,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    stride: int = 4,
):
    """The channel of the panoptic logits that each cell should have, int32 `[B, h, w]`; -1 where it is ignored.

    A cell has the label of its top-left pixel. Things without an instance that takes part are unknown, or ignored in
    an image where none does.

    Args:
        semantic: int32 `[B, H, W]`, category ids; 0, and ids that no channel has, are ignored.
        instance_map: int32 `[B, H, W]`, place + 1 of each pixel's instance, 0 without one.
        box_category, kept, channels, thing_ids, stride: as in `panoptic_logits`.
    """
    kept = ops.logical_and(kept, box_category > 0)
    stuff = [category for category in channels if category not in thing_ids]
    category, place = semantic[:, ::stride, ::stride], instance_map[:, ::stride, ::stride]
    label = channel_of(category, (*stuff, *thing_ids))
    unknown = ops.where(ops.any(kept, axis=1), len(stuff) + kept.shape[1], -1)
    label = ops.where(label < len(stuff), label, ops.expand_dims(unknown, (1, 2)))
    keys = ops.reshape(place, (ops.shape(place)[0], -1))
    shown = ops.reshape(look_up(ops.pad(kept, ((0, 0), (1, 0))), keys), ops.shape(place))
    return ops.where(shown, place + (len(stuff) - 1), label)
