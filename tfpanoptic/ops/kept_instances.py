"""Which true instances an image's panoptic logits are trained with."""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.ops.sampling import choose


def kept_instances(seed, exists, fraction: float, draw: int = 0):
    """A random share of each image's instances, bool `[B, N]`: exactly max(int(fraction * n), 1) of n, 0 of none.

    The others teach the unknown channel.

    Args:
        seed: int32 `[B, 2]`, of each image.
        exists: bool `[B, N]`.
        fraction: the share, above 0 to 1.
        draw: sets draws of one network apart; see `ops.sampling`.

    Source: Xiong et al. 2019, section 3.3; UPSNet `panoptic_box_keep_fraction`, 0.7 in all its configurations.
    """
    places = exists.shape[1]
    # Of every n at once, in double precision: 0.7 * 10 may be below 7 in float32.
    limits = np.array([0, *(max(int(fraction * n), 1) for n in range(1, places + 1))], np.int32)
    limit = ops.take(limits, ops.sum(ops.cast(exists, "int32"), axis=1), axis=0)
    index, chosen = choose(seed, exists, places, limit, draw)
    hits = ops.expand_dims(index, 2) == np.arange(places, dtype=np.int32)  # [B, chosen, N]
    return ops.any(ops.logical_and(hits, ops.expand_dims(chosen, 2)), axis=1)
