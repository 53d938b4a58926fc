"""How probable the pixels of a segment are of its category."""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.channels import class_index
from tfpanoptic.ops.enlarged_logits import channel_logit
from tfpanoptic.ops.segments import look_up, sum_by_segment
from tfpanoptic.panoptic_map import category_of


def mean_probability(segment_ids, labels, areas, logits, log_sum_exp, channels: tuple[int, ...], align_corners: bool):
    """Mean probability of each segment's category over its pixels, float32 `[B, N]`.

    Args:
        segment_ids: int32 `[B, H, W]`, 0 void, else row + 1.
        labels: int32 `[B, N]`, panoptic-map label of each row, 0 in empty rows.
        areas: int32 `[B, N]`, pixels of each row.
        logits: float32 `[B, h, w, K]`, semantic logits.
        log_sum_exp: float32 `[B, H, W]`, of the enlarged logits; see `ops.enlarged_logits`.
        channels: category id of each of the K channels.
        align_corners: the grid rule of the enlargement.
    """
    batch, height, width = ops.shape(segment_ids)
    channel_of_row = class_index(category_of(labels), channels)
    channel_of_segment = ops.concatenate([ops.zeros_like(labels[:, :1]), channel_of_row], axis=1)
    channel = look_up(channel_of_segment, ops.reshape(segment_ids, (batch, -1)))
    channel = ops.reshape(channel, (batch, height, width))
    probability = ops.exp(channel_logit(logits, channel, align_corners) - log_sum_exp)
    total = sum_by_segment(probability, segment_ids, labels.shape[1] + 1)[:, 1:]
    return total / ops.cast(ops.maximum(areas, 1), "float32")
