"""Regression losses under a mask, normalised image by image.

Source: DeepLab2, `model/loss/base_loss.py`: the sum over an image divided by the count of its pixels
whose loss is not 0, so that a pixel already exact does not dilute the others.
"""

from __future__ import annotations

from keras import ops


def masked_squared_error(prediction, target, weight):
    """Mean squared error, float32 `[B]`.

    Args:
        prediction, target: float `[B, H, W]`.
        weight: float `[B, H, W]`, 0 where a pixel is ignored.
    """
    error = ops.cast(prediction, "float32") - ops.cast(target, "float32")
    return mean_of_nonzero(ops.square(error) * ops.cast(weight, "float32"))


def masked_absolute_error(prediction, target, weight):
    """Mean absolute error, averaged over the last axis first, float32 `[B]`.

    Args:
        prediction, target: float `[B, H, W, C]`.
        weight: float `[B, H, W]`, 0 where a pixel is ignored.
    """
    error = ops.cast(prediction, "float32") - ops.cast(target, "float32")
    return mean_of_nonzero(ops.mean(ops.abs(error), axis=-1) * ops.cast(weight, "float32"))


def mean_of_nonzero(loss):
    """Mean of each image's values that are not 0, float32 `[B]`; 0 for an image without any.

    Args:
        loss: float32 `[B, ...]`, not negative.
    """
    axes = tuple(range(1, len(loss.shape)))
    count = ops.sum(ops.cast(loss > 0, "float32"), axis=axes)
    return ops.sum(loss, axis=axes) / ops.maximum(count, 1.0)
