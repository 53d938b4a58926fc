"""Index of the largest value, on every backend and in LiteRT."""

from __future__ import annotations

import keras
from keras import ops


def argmax(x):
    """int32 index of the largest value along the last axis; the first of equal ones."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.argmax tells -0.0 from 0.0 with BitwiseAnd, which LiteRT does not have.
        return tf.argmax(x, axis=-1, output_type=tf.int32)
    return ops.cast(ops.argmax(x, axis=-1), "int32")
