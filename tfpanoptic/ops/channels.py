"""Which channel of a classification head is a category's."""

from __future__ import annotations

import numpy as np
from keras import ops


def channel_table(channels: tuple[int, ...]) -> np.ndarray:
    """Channel of each category id, int32; -1 for void and for ids without one, and last for every larger id.

    Args:
        channels: category id of each channel, 0 for void, background or anything that is no category.
    """
    table = np.full(max(channels) + 2, -1, np.int32)
    for channel, category_id in enumerate(channels):
        if category_id:
            table[category_id] = channel
    return table


def channel_of(category, channels: tuple[int, ...]):
    """Channel of each category, int32; -1 for void, for ids without one and for what is below 0."""
    table = channel_table(channels)
    return ops.take(table, ops.clip(category, 0, len(table) - 1), axis=0)


def class_index(category, classes: tuple[int, ...]):
    """Index of each category among the classes, int32; 0 where it is none."""
    return ops.maximum(channel_of(category, classes), 0)


def class_maps(logits, category, channels: tuple[int, ...]):
    """All maps of a batch of logits, and which of them is each category's, any for none.

    Args:
        logits: `[B, h, w, K]`.
        category: int32 `[B, N]`.
        channels: category id of each of the K channels.

    Returns:
        `[B * K, h, w]`, and int32 `[B, N]`
    """
    batch, height, width, depth = ops.shape(logits)
    maps = ops.reshape(ops.transpose(logits, (0, 3, 1, 2)), (-1, height, width))
    image = ops.expand_dims(ops.arange(batch, dtype="int32") * depth, 1)
    return maps, image + class_index(category, channels)
