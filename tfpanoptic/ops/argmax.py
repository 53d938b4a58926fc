"""The largest value and its index, on every backend and in LiteRT."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.device_operators import is_for_devices


def argmax(x):
    """int32 index of the largest value along the last axis; the first of equal ones."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.argmax tells -0.0 from 0.0 with BitwiseAnd, which LiteRT does not have.
        return tf.argmax(x, axis=-1, output_type=tf.int32)
    return ops.cast(ops.argmax(x, axis=-1), "int32")


def largest(x):
    """The largest value along the last axis and its int32 index, `[..., 1]` each; the first of equal ones."""
    if keras.backend.backend() == "tensorflow" and not is_for_devices():
        import tensorflow as tf

        # On TensorFlow's CPU the kernel for k = 1 needs half the time of argmax: a vectorised maximum, then a search.
        return tf.math.top_k(x, 1)
    return ops.max(x, axis=-1, keepdims=True), ops.expand_dims(argmax(x), -1)
