"""Crowds in what a perfect network would say."""

from __future__ import annotations

import numpy as np

from tfpanoptic.panoptic_map import MAX_INSTANCE, category_of, encode, instance_of


def crowds_as_instances(panoptic, isthing: np.ndarray) -> np.ndarray:
    """The panoptic map int32 `[H, W]` with every crowd as one more instance.

    PQ does not count a crowd, and without a keypoint of its own its pixels would join other instances.

    Args:
        panoptic: int `[H, W]`.
        isthing: bool, whether each category id is a thing's.
    """
    panoptic = np.asarray(panoptic)
    crowd = isthing[category_of(panoptic)] & (instance_of(panoptic) == 0)
    return np.where(crowd, encode(category_of(panoptic), MAX_INSTANCE), panoptic).astype(np.int32)
