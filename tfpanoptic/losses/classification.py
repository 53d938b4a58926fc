"""Losses of per-pixel classification."""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.losses.masked import mean_of_nonzero


def hard_pixel_cross_entropy(logits, category, weight, channels: tuple[int, ...], top_k_fraction: float = 0.2):
    """Weighted cross entropy, averaged over the hardest pixels of each image.

    Args:
        logits: float `[B, H, W, K]`.
        category: int32 `[B, H, W]`, category ids; 0, and ids that no channel has, are ignored.
        weight: float `[B, H, W]`, factor of each pixel's cross entropy.
        channels: category id of each of the K channels; a channel of 0 is never a target.
        top_k_fraction: share of all H * W pixels, ignored ones included, that is kept.

    Returns:
        float32 `[B]`: the mean over the kept pixels whose loss is not 0; 0 without any.

    Raises:
        ValueError: `channels` does not have one id for each channel of `logits`.

    Source: Yang et al. 2019 (DeeperLab), section 3.5, with the normalisation of DeepLab2's
    `model/loss/base_loss.py` (k of each image, mean over its non-zero entries).
    """
    if logits.shape[-1] != len(channels):
        raise ValueError(f"channels name {len(channels)} categories, but logits have shape {logits.shape}")
    logits = ops.cast(logits, "float32")
    known, channel = channel_of(category, channels)
    loss = ops.sparse_categorical_crossentropy(channel, logits, from_logits=True)  # [B, H, W]
    loss = ops.where(known, loss * ops.cast(weight, "float32"), 0.0)
    return mean_of_nonzero(_hardest(loss, top_k_fraction))


def pixel_cross_entropy(logits, channel):
    """Cross entropy summed over the labelled pixels of each image, float32 `[B]`.

    Args:
        logits: float `[B, H, W, K]`.
        channel: int32 `[B, H, W]`, the right channel of each pixel, -1 where it has no label.
    """
    loss = ops.sparse_categorical_crossentropy(ops.maximum(channel, 0), ops.cast(logits, "float32"), from_logits=True)
    return ops.sum(ops.where(channel >= 0, loss, 0.0), axis=(1, 2))


def channel_of(category, channels: tuple[int, ...]):
    """Whether a pixel's category has a channel, bool `[B, H, W]`, and which, int32 (0 without)."""
    table = channel_table(channels)
    channel = ops.take(table, ops.minimum(category, len(table) - 1), axis=0)
    return channel >= 0, ops.maximum(channel, 0)


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


def _hardest(loss, fraction: float):
    """The largest `fraction` of each image's values, `[B, k]`; the count is rounded, and at least 1."""
    batch, height, width = ops.shape(loss)
    loss = ops.reshape(loss, (batch, -1))
    if fraction >= 1:
        return loss
    pixels = height * width
    if isinstance(pixels, int):
        count = max(1, round(fraction * pixels))
    else:
        count = ops.maximum(1, ops.cast(ops.round(fraction * ops.cast(pixels, "float32")), "int32"))
    return ops.top_k(loss, count, sorted=False)[0]
