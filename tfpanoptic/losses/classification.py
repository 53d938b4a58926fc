"""Losses of per-pixel classification."""

from __future__ import annotations

from keras import ops

from tfpanoptic.losses.masked import mean_of_nonzero
from tfpanoptic.ops.channels import channel_of


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
    loss = cross_entropy(logits, channel_of(category, channels)) * ops.cast(weight, "float32")
    return mean_of_nonzero(_hardest(loss, top_k_fraction))


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


def pixel_cross_entropy(logits, channel):
    """Cross entropy summed over the labelled pixels, cells or regions of each image, float32 `[B]`.

    Args:
        logits: float `[B, ..., K]`.
        channel: int32 `[B, ...]`, the right channel of each, -1 where it has no label.
    """
    loss = cross_entropy(logits, channel)
    return ops.sum(loss, axis=tuple(range(1, len(loss.shape))))


def cross_entropy(logits, channel):
    """As `pixel_cross_entropy`, float32 `[B, ...]`: the terms of its sums, 0 without a label."""
    loss = ops.sparse_categorical_crossentropy(ops.maximum(channel, 0), ops.cast(logits, "float32"), from_logits=True)
    return ops.where(channel >= 0, loss, 0.0)
