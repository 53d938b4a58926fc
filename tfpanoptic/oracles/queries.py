"""What perfect queries would say: a segment each, of its category for certain, and a mask on the grid of the masks.

Own choice: a mask's logit is a straight line through the share of the cell that the segment covers, 0 at one half. The
border of an enlarged mask then lies where the segment's does, to fractions of a cell; log odds, which a calibrated head
gives, put it into the middle of each cell that is not covered all or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpanoptic.oracles.centers import CERTAIN, cells_of_pixels
from tfpanoptic.oracles.query_settings import STRIDE
from tfpanoptic.panoptic_map import category_of, instance_of


def perfect_queries(
    panoptic: np.ndarray,
    channels: Sequence[int],
    thing_ids: Sequence[int],
    queries: int,
    segments: int | None = None,
    stride: int = STRIDE,
) -> dict[str, Any]:
    """Outputs of perfect queries, a batch of one; of more segments than there are queries the largest.

    Args:
        panoptic: int32 `[H, W]`, a panoptic map; crowds are no segments.
        channels: category id of each of the K + 1 channels, 0 for no-object.
        thing_ids: category ids of the things.
        queries: Q.
        segments: the most that the network was taught of an image, if they are fewer.
        stride: pixels a cell of the masks; their grid has ceil(H / stride) rows.

    Returns:
        `class_logits` float32 `[1, Q, K + 1]` and `mask_logits` float32 `[1, h, w, Q]`.
    """
    labels, segment, areas = np.unique(panoptic, return_inverse=True, return_counts=True)
    crowd = np.isin(category_of(labels), thing_ids) & (instance_of(labels) == 0)
    taught = np.flatnonzero(np.isin(category_of(labels), [c for c in channels if c]) & ~crowd)
    largest = taught[np.argsort(-areas[taught], kind="stable")][: min(queries, segments or queries)]
    query = np.full(len(labels), queries)
    query[largest] = np.arange(len(largest))

    channel = np.full(queries, list(channels).index(0))
    channel[: len(largest)] = [list(channels).index(category) for category in category_of(labels[largest])]
    cells, grid = cells_of_pixels(panoptic.shape, stride, align_corners=False)
    count = grid[0] * grid[1]
    # The last column takes the pixels of no query.
    key = cells.reshape(-1) * (queries + 1) + query[segment.reshape(-1)]
    pixels = np.bincount(key, minlength=count * (queries + 1)).reshape(*grid, queries + 1)
    share = pixels[..., :queries] / np.maximum(pixels.sum(axis=-1, keepdims=True), 1)
    return {
        "class_logits": (CERTAIN * np.eye(len(channels), dtype=np.float32)[channel])[None],
        "mask_logits": (CERTAIN * (2 * share - 1)).astype(np.float32)[None],
    }
