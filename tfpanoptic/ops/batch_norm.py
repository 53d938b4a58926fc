"""Batch normalisation by the batch's own statistics, on the fastest kernel that the backend has."""

from __future__ import annotations

import keras
from keras import ops

# What TensorFlow's fused kernel takes.
_FUSED = ("float32", "bfloat16", "float16")


def batch_norm_of_batch(x, gamma, beta, epsilon: float):
    """Maps normalised by the mean and variance of each channel over the whole batch, and these two.

    Args:
        x: float [B, H, W, C].
        gamma: float32 [C], the scale afterwards.
        beta: float32 [C], the offset afterwards.
        epsilon: added to the variance.

    Returns:
        [B, H, W, C] in the dtype of `x`, and float32 [C] and [C]: the mean and the biased variance, the sum of squares
        divided by B * H * W. Statistics are computed in float32 from any dtype, in float64 from float64.

    Source: Ioffe and Szegedy 2015, algorithm 1.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    if keras.backend.backend() == "tensorflow" and dtype in _FUSED:
        return _fused(x, gamma, beta, epsilon)
    values = ops.cast(x, keras.backend.result_type(dtype, "float32"))
    mean, variance = ops.moments(values, axes=(0, 1, 2))
    outputs = ops.batch_normalization(values, mean, variance, axis=-1, offset=beta, scale=gamma, epsilon=epsilon)
    return ops.cast(outputs, dtype), mean, variance


def _fused(x, gamma, beta, epsilon: float):
    """As `batch_norm_of_batch`, by one kernel forward and one backward."""
    import tensorflow as tf

    # The raw operation: `tf.compat.v1.nn.fused_batch_norm` raises an epsilon of 1e-5 to 1.001e-5.
    fused = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    # The kernel's variance is the unbiased one, divided by one cell less than there are. Of a single cell that may
    # be no number, where the biased one is 0.
    count = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
    return fused.y, fused.batch_mean, tf.math.multiply_no_nan(fused.batch_variance, (count - 1.0) / count)
