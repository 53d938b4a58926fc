"""Sums over segments and look-ups by segment, for a batch of maps at once."""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.gather import gather


def count_keys(keys, size: int):
    """How often each key occurs in each image, int32 `[B, size]`.

    Args:
        keys: int32 `[B, M]`, 0..size - 1.
    """
    batch = ops.shape(keys)[0]
    flat = ops.reshape(_apart(keys, size), (-1,))
    return ops.reshape(ops.segment_sum(ops.ones_like(flat), flat, batch * size), (batch, size))


def look_up(table, keys):
    """Each key's entry in its image's table, `[B, M]`.

    Args:
        table: `[B, size]`.
        keys: int32 `[B, M]`, 0..size - 1.
    """
    return gather(ops.reshape(table, (-1,)), _apart(keys, ops.shape(table)[1]))


def sum_by_segment(values, segment_ids, size: int):
    """Sum of `values` over each segment, float32 `[B, size]`.

    Each image row is summed alone first: a running float32 sum over a megapixel loses percents.

    Args:
        values: float32 `[B, H, W]`.
        segment_ids: int32 `[B, H, W]`, 0..size - 1.
    """
    batch, height, width = ops.shape(values)
    rows = ops.reshape(segment_ids, (-1, width))  # [B * H, W]
    keys = ops.reshape(_apart(rows, size), (-1,))
    sums = ops.segment_sum(ops.reshape(values, (-1,)), keys, batch * height * size)
    return ops.sum(ops.reshape(sums, (batch, height, size)), axis=1)


def _apart(keys, size):
    """Keys `[B, M]` that differ between the images: image b's lie in b * size..(b + 1) * size - 1."""
    image = ops.arange(ops.shape(keys)[0], dtype="int32") * size
    return keys + ops.expand_dims(image, -1)
