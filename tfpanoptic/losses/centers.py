"""The three losses of Panoptic-DeepLab and Axial-DeepLab, at input size.

Source: Cheng et al. 2020, section 3.3; DeepLab2 `model/loss/loss_builder.py` with
`configs/*/panoptic_deeplab`: outputs are enlarged first, offsets rescaled to input pixels.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.losses.classification import hard_pixel_cross_entropy
from tfpanoptic.losses.masked import masked_absolute_error, masked_squared_error
from tfpanoptic.ops.center_offset import enlarge_offset
from tfpanoptic.ops.resize import resize_bilinear


def panoptic_deeplab_loss(
    outputs: dict, targets: dict, channels: tuple[int, ...], top_k_fraction: float = 0.2, align_corners: bool = True
) -> dict:
    """Unweighted loss terms of each image.

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`, `center_heatmap` `[B, h, w, 1]`, `center_offset`
            `[B, h, w, 2]` in pixels of that grid.
        targets: a batch of what `targets.centers` returns, `[B, H, W, ...]`.
        channels: category id of each of the K channels.
        top_k_fraction: share of the pixels that the semantic term keeps.
        align_corners: the grid rule of the enlargement.

    Returns:
        `semantic`, `center` and `offset`, float32 `[B]` each.
    """
    size = ops.shape(targets["semantic"])[1:3]

    def enlarge(name):
        return resize_bilinear(ops.cast(outputs[name], "float32"), size, align_corners)

    offset = enlarge_offset(ops.cast(outputs["center_offset"], "float32"), size, align_corners)
    return {
        "semantic": hard_pixel_cross_entropy(
            enlarge("semantic_logits"), targets["semantic"], targets["semantic_weight"], channels, top_k_fraction
        ),
        "center": masked_squared_error(
            enlarge("center_heatmap")[..., 0], targets["center_heatmap"], targets["center_weight"]
        ),
        "offset": masked_absolute_error(offset, targets["center_offset"], targets["offset_weight"]),
    }
