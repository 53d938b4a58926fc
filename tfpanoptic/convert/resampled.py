"""Weights of a vision transformer for another grid of patches, or for patches of another size.

Both rest on the matrix of `ops/bicubic.py` and are computed in float64.

Source: timm `layers/pos_embed.py` and `layers/patch_embed.py`; Beyer et al. 2023 (FlexiViT), section 3.4, for kernels.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.ops.bicubic import bicubic_matrix


def resampled_positions(positions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A table of positions for another grid.

    Args:
        positions: float [h, w, C], rows first.
        size: rows and columns of the new grid.

    Returns:
        float64 [*size, C].
    """
    down, across = (bicubic_matrix(old, new) for old, new in zip(positions.shape[:2], size, strict=True))
    return np.einsum("yi,xj,ijc->yxc", down, across, np.asarray(positions, np.float64), optimize=True)


def resampled_kernel(kernel: np.ndarray, size: int) -> np.ndarray:
    """A patch embedding's kernel for patches of another size.

    Of all kernels it is the one whose outputs on enlarged patches are nearest to those of the old one on the patches
    before they were enlarged (least squares): the old kernel times the pseudo-inverse of the resize.

    Args:
        kernel: float [n, n, in, out].
        size: sides of the new patches.

    Returns:
        float64 [size, size, in, out].
    """
    axis = bicubic_matrix(kernel.shape[0], size)
    # The pseudo-inverse of a Kronecker product is that of its parts.
    inverse = np.linalg.pinv(axis)  # [n, size]
    return np.einsum("iy,jx,ijco->yxco", inverse, inverse, np.asarray(kernel, np.float64), optimize=True)
