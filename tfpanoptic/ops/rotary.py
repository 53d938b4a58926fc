"""Rotary positions of DINOv3: queries and keys of a patch are turned by angles that follow from its place.

Source: DINOv3 `layers/rope_position_encoding.py`, `layers/attention.py`.
"""

from __future__ import annotations

import math

import numpy as np
from keras import ops

# Source: DINOv3, `rope_base`.
BASE = 100.0


def rotary_angles(grid, head_size: int, factor):
    """The angle by which each channel of a head is turned, float32 `[B, h * w, head_size]`.

    A patch in row i of h lies at y = 2 (i + 0.5) / h - 1, and likewise in its column; each axis goes by its own
    length. The first quarter of the channels has the angles 2 pi y f_k, the second 2 pi x f_k, with
    f_k = 100 ** (-4 k / head_size); the second half repeats the first.

    Args:
        grid: (h, w).
        head_size: channels of a head, a multiple of 4.
        factor: float32 `[B]`, by which the places are multiplied.
    """
    frequencies = BASE ** (-4.0 * np.arange(head_size // 4) / head_size)
    turns = ops.convert_to_tensor((2.0 * math.pi * frequencies).astype("float32"))
    height, width = grid
    cell = ops.arange(height * width, dtype="int32")
    places = [_places(cell // width, height), _places(cell % width, width)]  # [h * w] each
    quarters = [ops.expand_dims(place, 1) * turns for place in places]
    angles = ops.concatenate(quarters * 2, axis=1)
    return ops.reshape(factor, (-1, 1, 1)) * ops.expand_dims(angles, 0)


def _places(index, length):
    """-1 to 1, of the middles of the cells of an axis."""
    return 2.0 * (ops.cast(index, "float32") + 0.5) / ops.cast(length, "float32") - 1.0


def rotate(x, cos, sin):
    """Heads turned by their angles, in the dtype of `x`; computed in float32.

    Args:
        x: float `[B, N, heads, D]`.
        cos, sin: float32 `[B or 1, N, D]`, of the angles.
    """
    values = ops.cast(x, "float32")
    first, second = ops.split(values, 2, axis=-1)
    turned = ops.concatenate([-second, first], axis=-1)
    return ops.cast(values * ops.expand_dims(cos, 2) + turned * ops.expand_dims(sin, 2), x.dtype)
