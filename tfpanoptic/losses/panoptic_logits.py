"""UPSNet's panoptic loss: every pixel classified among stuff, the image's instances and "unknown".

Channels of the panoptic logits: the S stuff channels in the order of the semantic logits, N instances, unknown. Some
true instances are dropped in training; their pixels are what unknown learns from. In an image without instances every
pixel would be unknown by its formula, so the channel is left out there (own choice).

Source: Xiong et al. 2019, section 3.3; UPSNet `models/resnet_upsnet.py`, `operators/modules/mask_matching.py`.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.ops.instance_box import pasted_logits, semantic_cells
from tfpanoptic.ops.segments import look_up

# Logit of channels that an image does not have: below every other, and finite.
_NEVER = -1e30


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
    loss = ops.sparse_categorical_crossentropy(ops.maximum(target, 0), logits, from_logits=True)
    return ops.sum(ops.where(target >= 0, loss, 0.0), axis=(1, 2))


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
    part = _semantic_part(semantic_logits, boxes, box_category, channels, stride)  # [B, N, h, w]
    instances = part + pasted_logits(boxes, mask_logits, ops.shape(part)[2:], stride)

    takes_part = ops.expand_dims(kept, (2, 3))
    isthing = np.isin(channels, thing_ids)
    thing = ops.max(ops.take(semantic_logits, np.flatnonzero(isthing), axis=-1), axis=-1)
    unknown = thing - ops.max(ops.where(takes_part, part, _NEVER), axis=1)
    unknown = ops.where(ops.any(takes_part, axis=1), unknown, _NEVER)
    stuff = ops.take(semantic_logits, np.flatnonzero(~isthing), axis=-1)
    instances = ops.transpose(ops.where(takes_part, instances, _NEVER), (0, 2, 3, 1))
    return ops.concatenate([stuff, instances, ops.expand_dims(unknown, -1)], axis=-1)


def _semantic_part(semantic_logits, boxes, box_category, channels: tuple[int, ...], stride: int):
    """The semantic logit of each box's class inside the box, float32 `[B, N, h, w]`; 0 outside."""
    batch, height, width, depth = ops.shape(semantic_logits)
    channel_of_category = np.zeros(max(channels) + 1, np.int32)
    channel_of_category[list(channels)] = np.arange(len(channels))
    image = ops.expand_dims(ops.arange(batch, dtype="int32") * depth, 1)
    maps = ops.reshape(ops.transpose(semantic_logits, (0, 3, 1, 2)), (-1, height, width))  # [B * K, h, w]
    of_class = ops.take(maps, image + ops.take(channel_of_category, box_category, axis=0), axis=0)
    rows, columns = semantic_cells(boxes, (height, width), stride)
    return ops.where(ops.logical_and(ops.expand_dims(rows, 3), ops.expand_dims(columns, 2)), of_class, 0.0)


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
    unknown = len(stuff) + kept.shape[1]
    table = np.full(max(channels) + 2, -1, np.int32)  # the last entry answers for every larger id
    table[stuff] = np.arange(len(stuff))
    table[list(thing_ids)] = unknown
    table[0] = -1
    category, place = semantic[:, ::stride, ::stride], instance_map[:, ::stride, ::stride]
    label = ops.take(table, ops.minimum(category, len(table) - 1), axis=0)
    any_kept = ops.expand_dims(ops.any(kept, axis=1), (1, 2))
    label = ops.where(ops.logical_or(label != unknown, any_kept), label, -1)
    keys = ops.reshape(place, (ops.shape(place)[0], -1))
    shown = ops.reshape(look_up(ops.pad(kept, ((0, 0), (1, 0))), keys), ops.shape(place))
    return ops.where(shown, place + (len(stuff) - 1), label)
