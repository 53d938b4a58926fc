"""Which query answers for which segment: the pairs that cost the least together.

Source: Cheng et al. 2021 (MaskFormer), section 3.2, with the points of Cheng et al. 2022 (Mask2Former), section 3.3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.ops.channels import class_index
from tfpanoptic.ops.fused import fused
from tfpanoptic.ops.point_samples import masks_at, values_at

# Source: Mask2Former and EoMT, all configurations.
CLASS_WEIGHT, MASK_WEIGHT, DICE_WEIGHT = 2.0, 5.0, 5.0


class Costs(NamedTuple):
    """What each pair of a query and a place costs, unweighted, float32 `[B, Q, M]` each; any for empty places.

    Attributes:
        category: the negative probability of the segment's category.
        mask: mean cross entropy over the points.
        dice: one less the overlap of the mask with the segment, over the points.
    """

    category: Any
    mask: Any
    dice: Any

    def total(self):
        """The weighted sum, float32 `[B, Q, M]`."""
        return CLASS_WEIGHT * self.category + MASK_WEIGHT * self.mask + DICE_WEIGHT * self.dice


def matching_costs(class_logits, mask_logits, targets: dict, channels: tuple[int, ...], points) -> Costs:
    """The costs of one prediction; no gradient flows through them.

    Args:
        class_logits: float32 `[B, Q, K]`.
        mask_logits: float32 `[B, h, w, Q]`.
        targets: `segment_map` int32 `[B, H, W]` and `segment_category` int32 `[B, M]`.
        channels: category id of each of the K channels, 0 for no object.
        points: float32 `[B, 2, P]`, (x, y) in 0..1; the same for all pairs of an image.
    """
    class_logits, mask_logits = ops.stop_gradient(class_logits), ops.stop_gradient(mask_logits)
    category = targets["segment_category"]
    probability = ops.transpose(ops.softmax(class_logits, axis=-1), (0, 2, 1))  # [B, K, Q]
    channel = ops.expand_dims(class_index(category, channels), 2)
    of_category = ops.transpose(ops.take_along_axis(probability, channel, axis=1), (0, 2, 1))
    pixels = points.shape[2] * class_logits.shape[1]
    mask, dice = _mask_costs(mask_logits, targets["segment_map"], points, category.shape[1], pixels=pixels)
    return Costs(-of_category, mask, dice)


@fused
def _mask_costs(logits, segment_map, points, places: int):
    """Cross entropy and dice over the points, float32 `[B, Q, M]` each.

    With softplus(-z) = softplus(z) - z, the cross entropy needs one product of all logits and masks.
    """
    logits, masks = values_at(logits, points), masks_at(segment_map, points, places)
    probability = ops.sigmoid(logits)

    def over_points(values):
        return ops.matmul(ops.transpose(values, (0, 2, 1)), masks)

    entropy = ops.expand_dims(ops.sum(ops.softplus(logits), axis=1), 2) - over_points(logits)
    areas = ops.expand_dims(ops.sum(probability, axis=1), 2) + ops.expand_dims(ops.sum(masks, axis=1), 1)
    return entropy / points.shape[2], 1.0 - (2.0 * over_points(probability) + 1.0) / (areas + 1.0)
