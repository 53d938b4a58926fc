"""What perfect heads of a top-down model would say: true boxes and classes, masks on the mask head's grid, and a
semantic head that gives each cell the share of its categories.

Own choice: masks are what the mask head learns, 0 or 1; the semantic head is calibrated, as in `oracles/centers.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpanoptic.architecture import Relaxation
from tfpanoptic.ops.mask_targets import mask_targets
from tfpanoptic.oracles.centers import CERTAIN, category_shares, cells_of_pixels
from tfpanoptic.oracles.relaxed import relaxed
from tfpanoptic.panoptic_map import category_of, instance_of

# Of the semantic logits.
STRIDE = 4


def perfect_detections(panoptic: np.ndarray, thing_ids: Sequence[int], count: int, mask_size: int) -> dict[str, Any]:
    """Detections of a perfect instance branch, a batch of one; of more than `count` instances the largest.

    Args:
        panoptic: int32 `[H, W]`, a panoptic map; crowds are no instances.
        thing_ids: category ids of the things.
        count: places N.
        mask_size: m, cells of a mask along each side.

    Returns:
        `boxes` float32 `[1, N, 4]`, tight; `scores` float32 `[1, N]`, 1; `box_category` int32 `[1, N]`; `mask_logits`
        float32 `[1, N, m, m]`; all 0 in empty places.
    """
    labels, areas = np.unique(panoptic, return_counts=True)
    is_instance = np.isin(category_of(labels), thing_ids) & (instance_of(labels) > 0)
    order = np.argsort(-areas[is_instance], kind="stable")[:count]
    labels = labels[is_instance][order]
    found = {
        "boxes": np.zeros((1, count, 4), np.float32),
        "scores": np.zeros((1, count), np.float32),
        "box_category": np.zeros((1, count), np.int32),
        "mask_logits": np.zeros((1, count, mask_size, mask_size), np.float32),
    }
    number = len(labels)
    if not number:
        return found
    for row, label in enumerate(labels):
        inside = panoptic == label
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        found["boxes"][0, row] = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    found["scores"][0, :number] = 1
    found["box_category"][0, :number] = category_of(labels)
    masks = np.asarray(mask_targets(panoptic[None], found["boxes"][:, :number], labels[None], mask_size))
    found["mask_logits"][0, :number] = CERTAIN * (2 * masks[0] - 1)
    return found


def perfect_semantic_logits(channel: np.ndarray, count: int) -> np.ndarray:
    """Logits of a perfect semantic head at stride 4, float32 `[1, h, w, count]`; 0 in cells without a label.

    Args:
        channel: int `[H, W]`, the right channel of each pixel, -1 without a label.
        count: number of channels.
    """
    cells, grid = cells_of_pixels(channel.shape, STRIDE, align_corners=False)
    # Counted from 1, as 0 stands for no label there.
    share = category_shares(channel + 1, tuple(range(1, count + 1)), cells, grid)
    return (CERTAIN * share[None]).astype(np.float32)


def relaxations(config: Any, most_instances: int, overlap: str) -> tuple[Relaxation, ...]:
    """The settings that can cost panoptic quality, each relaxed alone; see `architecture.Oracle`.

    Args:
        config: of a top-down model.
        most_instances: of an image of the data.
        overlap: name of the setting of `postprocess` that drops masks which others cover.
    """
    settings = config.postprocess
    found: list[tuple[str, Any, str]] = []
    if settings.max_detections < most_instances:
        found.append(("max_detections", most_instances, f"raise it to at least {most_instances}"))
    if getattr(settings, overlap) < 1:
        found.append((overlap, 1.0, "raise it: masks that better ones cover are thrown away"))
    if settings.stuff_area > 1:
        found.append(("stuff_area", 0, "lower it: stuff segments with fewer pixels are thrown away"))
    size = 2 * config.instance.mask_head.size
    return (
        *(relaxed(config, f"postprocess.{name}", value, advice) for name, value, advice in found),
        relaxed(config, "instance.mask_head.size", size, "raise it: a mask has too few cells for the shapes"),
    )
