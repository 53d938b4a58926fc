"""What the heads of a perfect DeeperLab would say: its training targets, averaged over the heads' cells.

As in `oracles/centers.py`: shares of categories and of disks, and means of the offsets over the pixels that have one.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.ops.center_offset import cell_sides
from tfpanoptic.ops.keypoint_graph import EDGES, KEYPOINTS
from tfpanoptic.oracles.centers import CERTAIN, category_shares, cell_means, cells_of_pixels, tilt


def deeperlab_perfect_outputs(
    targets: dict, channels: tuple[int, ...], stride: int, align_corners: bool
) -> dict[str, np.ndarray]:
    """Outputs of the heads for the targets of one image, a batch of one, float32.

    Args:
        targets: what `targets.keypoints` returns, as NumPy arrays.
        channels: category id of each of the K channels.
        stride: pixels a cell of the heads; grids have ceil(H / stride) rows.
        align_corners: the grid rule of the enlargement.

    Returns:
        `semantic_logits` `[1, h, w, K]`, `keypoint_logits` `[1, h, w, 5]`, `short_offset` and `long_offset`
        `[1, h, w, 10]` and `middle_offset` `[1, h, w, 16]`; 0 where no pixel of a cell has a target.
    """
    size = targets["semantic"].shape
    cells, grid = cells_of_pixels(size, stride, align_corners)
    disk, instance, kinds = targets["disk"], targets["instance"], range(len(KEYPOINTS))
    share = cell_means((disk >= 0).astype(np.float64), np.ones(size), cells, grid)
    # The log odds of the share, and heights that differ: equal peaks would all survive a window.
    least = 1.0 / (1.0 + np.exp(CERTAIN))
    share = np.clip(share * tilt(grid)[..., None], least, 1.0 - least)
    position = np.moveaxis(np.mgrid[: size[0], : size[1]], 0, -1)  # [H, W, 2]

    def offsets(kind: int, place: np.ndarray) -> np.ndarray:
        """Cell means of the offsets to a keypoint of the instance at each pixel, `[h, w, 2]`, in cells."""
        values = targets["keypoints"][np.maximum(place, 0), kind] - position
        return cell_means(values, place >= 0, cells, grid) / np.asarray(cell_sides(grid, size, align_corners))

    outputs = {
        "semantic_logits": CERTAIN * category_shares(targets["semantic"], channels, cells, grid),
        "keypoint_logits": np.log(share) - np.log1p(-share),
        "short_offset": np.concatenate([offsets(kind, disk[..., kind]) for kind in kinds], axis=-1),
        "middle_offset": np.concatenate([offsets(end, disk[..., start]) for start, end in EDGES], axis=-1),
        "long_offset": np.concatenate([offsets(kind, instance) for kind in kinds], axis=-1),
    }
    return {name: values[None].astype(np.float32) for name, values in outputs.items()}
