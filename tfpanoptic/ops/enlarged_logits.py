"""What a full-size classification needs of its logits, without holding them at full size.

1024 x 2048 pixels of 134 channels are 1.1 GB. Strips of a few rows are enlarged one at a time, and a
single channel a pixel is interpolated from its four neighbours.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.argmax import largest
from tfpanoptic.ops.chunks import map_chunks
from tfpanoptic.ops.device_operators import is_for_devices
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.resize import resize_bilinear, source_positions

# Rows of one strip. Own choice: 8 rows of 640 pixels and 134 channels are 2.7 MB.
STRIP = 8
# Numbers of one strip on a device, where a loop copies all that it has stacked for each strip: 16 MB.
ON_DEVICE = 2**22


def best_channel(logits, size, align_corners: bool):
    """The channel with the largest enlarged logit at each pixel, and the logarithm of the softmax's sum.

    Args:
        logits: float32 `[B, h, w, K]`.
        size: (H, W).
        align_corners: the grid rule of the enlargement.

    On a device with images of any width they are enlarged at once, for LiteRT stacks only what has a fixed shape.

    Returns:
        `channel` int32 `[B, H, W]`, the first of equal ones
        `log_sum_exp` float32 `[B, H, W]`; the probability of a channel is exp(logit - log_sum_exp)
    """
    batch, low_height, low_width, depth = ops.shape(logits)
    height, width = size
    if is_for_devices() and not isinstance(width, int):
        return tuple(ops.squeeze(maps, -1) for maps in _best(resize_bilinear(logits, size, align_corners)))
    strip = STRIP
    if is_for_devices() and isinstance(depth, int):
        strip = min(max(ON_DEVICE // (width * depth), STRIP), height)
    strips = (height + (strip - 1)) // strip
    top, bottom, down = _neighbours(height, low_height, align_corners)
    lines = ops.reshape(logits, (-1, low_width, depth))  # [B * h, w, K]
    # The last strip repeats the last row.
    rows = ops.minimum(ops.arange(strips * strip, dtype="int32"), height - 1)
    image = ops.reshape(ops.arange(batch, dtype="int32") * low_height, (-1, 1))
    upper, lower = (ops.reshape(image + gather(line, rows), (-1, 1, strip)) for line in (top, bottom))
    share = ops.tile(ops.reshape(gather(down, rows), (-1, 1, strip, 1, 1)), (batch, 1, 1, 1, 1))

    def best_of_strip(neighbours):
        upper, lower, share = neighbours
        mixed = _mixed(gather(lines, upper), gather(lines, lower), share)  # [1, strip, w, K]
        # The rows are in place already: this moves the columns alone.
        return _best(resize_bilinear(mixed, (strip, width), align_corners))

    channel, log_sum_exp = map_chunks(best_of_strip, (upper, lower, share))  # [B * strips, 1, strip, W, 1]
    return tuple(ops.reshape(maps, (batch, strips * strip, width))[:, :height] for maps in (channel, log_sum_exp))


def _best(logits):
    """The channel with the largest of the logits and the logarithm of the softmax's sum, `[B, H, W, 1]` each."""
    logit, channel = largest(logits)
    return channel, logit + ops.log(ops.sum(ops.exp(logits - logit), axis=-1, keepdims=True))


def channel_logit(logits, channel, align_corners: bool):
    """The enlarged logit of one channel a pixel, float32 `[B, H, W]`.

    Args:
        logits: float32 `[B, h, w, K]`.
        channel: int32 `[B, H, W]`, 0..K - 1.
        align_corners: the grid rule of the enlargement.
    """
    batch, low_height, low_width, depth = ops.shape(logits)
    _, height, width = ops.shape(channel)
    top, bottom, down = _neighbours(height, low_height, align_corners)
    left, right, across = _neighbours(width, low_width, align_corners)
    flat = ops.reshape(logits, (-1,))
    image = ops.reshape(ops.arange(batch, dtype="int32") * low_height, (-1, 1))
    upper, lower = (ops.expand_dims((image + line) * (low_width * depth), 2) for line in (top, bottom))  # [B, H, 1]
    west, east = (channel + line * depth for line in (left, right))  # [B, H, W]

    def between(line):
        return _mixed(gather(flat, line + west), gather(flat, line + east), across)

    return _mixed(between(upper), between(lower), ops.expand_dims(down, 1))


def _mixed(first, second, share):
    return first * (1.0 - share) + second * share


def _neighbours(length, old, align_corners: bool):
    """The two cells of an axis of `old` cells around each cell of one of `length`, and the second's share.

    Returns:
        int32, int32 and float32 `[length]`.
    """
    at = source_positions(length, old, align_corners)
    at = ops.minimum(ops.maximum(at, 0.0), ops.cast(old - 1, "float32"))
    first = ops.floor(at)
    share = at - first
    first = ops.cast(first, "int32")
    return first, ops.minimum(first + 1, old - 1), share
