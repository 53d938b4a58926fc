"""How sure a semantic head is of each segment."""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.ops.enlarged_logits import channel_logit
from tfpanoptic.ops.segments import count_keys, look_up, sum_by_segment
from tfpanoptic.panoptic_map import category_of


def mean_probability(segment_ids, labels, logits, log_sum_exp, channels, num_categories: int, align_corners: bool):
    """Mean probability of each segment's category over its pixels, float32 `[B, N]`; 0 in rows without pixels.

    Args:
        segment_ids: int32 `[B, H, W]`, 0 void, else row + 1.
        labels: int32 `[B, N]`, panoptic-map label of each row.
        logits: float32 `[B, h, w, K]`.
        log_sum_exp: float32 `[B, H, W]`, of the enlarged logits; see `ops.enlarged_logits.best_channel`.
        channels: category id of each of the K channels; a category without one takes channel 0.
        num_categories: C.
        align_corners: the grid rule of the enlargement.
    """
    batch, height, width = ops.shape(segment_ids)
    flat = ops.reshape(segment_ids, (batch, height * width))
    channel_of_category = np.zeros(num_categories + 1, np.int32)
    channel_of_category[list(channels)] = np.arange(len(channels))
    channel_of_row = ops.take(channel_of_category, category_of(labels), axis=0)
    channel_of_segment = ops.concatenate([ops.zeros_like(labels[:, :1]), channel_of_row], axis=1)
    channel = ops.reshape(look_up(channel_of_segment, flat), (batch, height, width))
    probability = ops.exp(channel_logit(logits, channel, align_corners) - log_sum_exp)
    rows = ops.shape(labels)[1] + 1
    total = sum_by_segment(probability, segment_ids, rows)[:, 1:]
    return total / ops.cast(ops.maximum(count_keys(flat, rows)[:, 1:], 1), "float32")
