"""What the heads of a perfect Panoptic-DeepLab would say: its training targets, averaged over the heads' cells.

A head at stride s has one value for s x s pixels. Each cell of a perfect head holds the mean of the target over the
pixels that are nearest to it on the grid of the enlargement and that have a target: for the semantic head the share
of every category, as a calibrated classifier gives it.

Own choice: the mean is what calibrated heads say. It is no bound that nothing can pass; docs/architecture.md has the
measurements.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.ops.channels import channel_table
from tfpanoptic.ops.resize import nearest_to_size

# Logit of a category that covers its whole cell, above one that is absent. Own choice: a probability of 1 - 2e-9.
CERTAIN = 20.0
# Peaks grow by this much from corner to corner. Equal peaks would all survive the suppression however large its
# window is, and those of real heads are never equal. Own choice: far less than a Gaussian falls within a pixel.
TILT = 0.01


def panoptic_deeplab_perfect_outputs(
    targets: dict,
    channels: tuple[int, ...],
    semantic_stride: int,
    instance_stride: int,
    align_corners: bool,
) -> dict[str, np.ndarray]:
    """Outputs of the heads for the targets of one image.

    Args:
        targets: what `targets.centers` returns, as NumPy arrays, `[H, W, ...]`.
        channels: category id of each of the K channels.
        semantic_stride, instance_stride: pixels a cell of the heads; grids have ceil(H / stride) rows.
        align_corners: the grid rule of the enlargement.

    Returns:
        `semantic_logits` `[1, h, w, K]`, `center_heatmap` `[1, h, w, 1]` and `center_offset` `[1, h, w, 2]`, float32;
        0 where no pixel of a cell has a target.
    """
    size = targets["semantic"].shape
    semantic_cells, semantic_grid = cells_of_pixels(size, semantic_stride, align_corners)
    instance_cells, instance_grid = cells_of_pixels(size, instance_stride, align_corners)
    share = category_shares(targets["semantic"], channels, semantic_cells, semantic_grid)
    heatmap = cell_means(targets["center_heatmap"][..., None], np.ones(size), instance_cells, instance_grid)
    offset = cell_means(targets["center_offset"], targets["offset_weight"], instance_cells, instance_grid)
    edge = int(align_corners)
    shrink = [(small - edge) / max(large - edge, 1) for small, large in zip(instance_grid, size, strict=True)]
    outputs = {
        "semantic_logits": CERTAIN * share,
        "center_heatmap": heatmap * tilt(instance_grid)[..., None],
        "center_offset": offset * shrink,
    }
    return {name: values[None].astype(np.float32) for name, values in outputs.items()}


def tilt(grid: tuple[int, int]) -> np.ndarray:
    """Factors from 1 - `TILT` at the top left to 1 at the bottom right, float64 `[h, w]`."""
    # Steeper downwards, so that no diagonal is level.
    down, across = (np.linspace(-share * TILT, 0.0, side) for share, side in zip((0.75, 0.25), grid, strict=True))
    return 1.0 + down[:, None] + across[None, :]


def cells_of_pixels(size: tuple[int, int], stride: int, align_corners: bool) -> tuple[np.ndarray, tuple[int, int]]:
    """The cell of a head that is nearest to each pixel, int `[H, W]`, y * w + x, and the grid's (h, w)."""
    grid = (-(-size[0] // stride), -(-size[1] // stride))
    numbers = np.arange(grid[0] * grid[1], dtype=np.int32).reshape(1, *grid)
    return np.asarray(nearest_to_size(numbers, grid, size, align_corners))[0], grid


def category_shares(
    semantic: np.ndarray, channels: tuple[int, ...], cells: np.ndarray, grid: tuple[int, int]
) -> np.ndarray:
    """Share of each channel's category in each cell, of the pixels that have one; float64 `[h, w, K]`.

    Args:
        semantic: int `[H, W]`, category ids, 0 where there is no target.
        channels: category id of each of the K channels; one of 0 gets no share.
        cells: int `[H, W]`, the cell of each pixel.
        grid: (h, w).
    """
    table = channel_table(channels)
    channel = table[np.minimum(semantic, len(table) - 1)]
    taught = channel >= 0
    key = cells[taught].astype(np.int64) * len(channels) + channel[taught]
    counts = np.bincount(key, minlength=grid[0] * grid[1] * len(channels)).reshape(*grid, len(channels))
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)


def cell_means(values: np.ndarray, weight: np.ndarray, cells: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Weighted mean of the pixels of each cell, float64 `[h, w, C]`; 0 where the weights are all 0.

    Args:
        values: float `[H, W, C]`.
        weight: float `[H, W]`, 0 or 1.
        cells: int `[H, W]`, the cell of each pixel.
        grid: (h, w).
    """
    flat, weight, count = cells.reshape(-1), weight.reshape(-1), grid[0] * grid[1]
    total = np.maximum(np.bincount(flat, weight, count), 1.0)
    depth = values.shape[-1]
    sums = [np.bincount(flat, values[..., c].reshape(-1) * weight, count) / total for c in range(depth)]
    return np.stack(sums, axis=-1).reshape(*grid, depth)
