"""The keypoints of an instance and how offsets between them are laid out in channels.

Source: Yang et al. 2019 (DeeperLab), section 3.3: the corners of the box, the mass centre, and the star between them.
Their order is an own choice.
"""

from __future__ import annotations

from keras import ops

KEYPOINTS = ("top_left", "top_right", "bottom_left", "bottom_right", "center")
CENTER = KEYPOINTS.index("center")
CORNERS = tuple(range(CENTER))
# From a keypoint to another: channels 2e and 2e + 1 of the middle-range offsets are (dy, dx) along edge e.
EDGES = tuple((CENTER, corner) for corner in CORNERS) + tuple((corner, CENTER) for corner in CORNERS)
# The keypoint that each one is in the mirrored image, and so the edges.
MIRRORED = (1, 0, 3, 2, CENTER)
MIRRORED_EDGES = tuple(EDGES.index((MIRRORED[start], MIRRORED[end])) for start, end in EDGES)


def offsets_of(maps, number: int):
    """(dy, dx) of one keypoint or edge, `[..., 2]`, of offsets `[..., 2 * N]`."""
    return maps[..., 2 * number : 2 * number + 2]


def one_by_one(values, count: int):
    """The parts of all channels as images of their own, `[B * N, ..., C]`: those of the first image first.

    Args:
        values: `[B, ..., N * C]`, N parts of C channels.
        count: N.
    """
    inner = tuple(ops.shape(values)[1:-1])
    apart = ops.reshape(values, (-1, *inner, count, values.shape[-1] // count))
    parts = len(inner) + 1
    ordered = ops.transpose(apart, (0, parts, *range(1, parts), parts + 1))
    return ops.reshape(ordered, (-1, *inner, values.shape[-1] // count))
