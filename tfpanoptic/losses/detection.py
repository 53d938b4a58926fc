"""The losses of Mask R-CNN, summed over the sampled anchors and regions of each image, and what they are divided by.

Source: Ren et al. 2015, equation 1; Girshick 2015, equation 1; He et al. 2017, section 3; the normalisation is that of
Detectron2 `modeling/proposal_generator/rpn.py` and `modeling/roi_heads/{fast_rcnn,mask_head}.py`.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.losses.classification import pixel_cross_entropy
from tfpanoptic.ops.channels import channel_of, class_index


def anchor_terms(outputs: dict, count: int, beta: float = 0.0) -> dict:
    """Objectness and boxes of the sampled anchors, each sum divided by the size of the sample.

    It is divided by `count` even where fewer anchors were sampled.

    Args:
        outputs: those of `layers.rpn.SampleAnchors`.
        count: anchors that a sample holds at most.
        beta: of `smooth_absolute`; 0 is the absolute error.

    Returns:
        `anchor_class`, `anchor_box`: float32 `[B]`.
    """
    label = outputs["anchor_label"]
    entropy = binary_cross_entropy(outputs["anchor_logits"], ops.cast(label > 0, "float32"))
    error = smooth_absolute(outputs["anchor_deltas"] - outputs["anchor_targets"], beta)
    positive = ops.expand_dims(label > 0, -1)
    return {
        "anchor_class": ops.sum(ops.where(label >= 0, entropy, 0.0), axis=1) / count,
        "anchor_box": ops.sum(ops.where(positive, error, 0.0), axis=(1, 2)) / count,
    }


def region_terms(outputs: dict, channels: tuple[int, ...], classes: tuple[int, ...], beta: float = 0.0) -> dict:
    """Class and box of the sampled regions, sums over each image; to be divided by its number of sampled regions.

    Args:
        outputs: those of `layers.box_head.SampleRegions`, and `box_logits` float32 `[B, S, K]`, `box_deltas` float32
            `[B, S, classes, 4]`.
        channels: category id of each channel of the logits, 0 for background.
        classes: category id of each class of the deltas.
        beta: of `smooth_absolute`; 0 is the absolute error.

    Returns:
        `region_class`, `region_box`: float32 `[B]`.
    """
    category = outputs["region_category"]
    channel = ops.where(category == 0, channels.index(0), channel_of(category, channels))
    index = ops.reshape(class_index(category, classes), (*ops.shape(category), 1, 1))
    deltas = ops.squeeze(ops.take_along_axis(outputs["box_deltas"], index, axis=2), 2)
    error = smooth_absolute(deltas - outputs["region_targets"], beta)
    return {
        "region_class": pixel_cross_entropy(outputs["box_logits"], channel),
        "region_box": ops.sum(ops.where(ops.expand_dims(category > 0, -1), error, 0.0), axis=(1, 2)),
    }


def mask_term(logits, targets, category):
    """Mean cross entropy of each region's mask, summed over the foreground of each image, float32 `[B]`.

    To be divided by its number of foreground regions.

    Args:
        logits: float32 `[B, S, m, m]`, of the region's own class.
        targets: float32 `[B, S, m, m]`, 0 or 1.
        category: int32 `[B, S]`, above 0 for foreground.
    """
    entropy = ops.mean(binary_cross_entropy(logits, targets), axis=(2, 3))
    return ops.sum(ops.where(category > 0, entropy, 0.0), axis=1)


def number_of(which):
    """How many of each image's places hold, float32 `[B]`.

    Args:
        which: bool `[B, ...]`.
    """
    return ops.sum(ops.cast(which, "float32"), axis=tuple(range(1, len(which.shape))))


def binary_cross_entropy(logits, targets):
    """Cross entropy of independent yes-or-no decisions, elementwise; finite for any logit."""
    return ops.maximum(logits, 0.0) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))


def smooth_absolute(error, beta: float):
    """The absolute error, with a parabola below `beta`, elementwise; beta 0 leaves it as it is.

    Source: Girshick 2015, equation 3 (beta 1); the RPN of Mask R-CNN's authors has 1 / 9.
    """
    size = ops.abs(error)
    if beta == 0:
        return size
    return ops.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)
