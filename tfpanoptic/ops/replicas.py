"""How many replicas train in step, on the backend in use."""

from __future__ import annotations

import keras


def replicas_in_sync() -> int:
    """Number of replicas of the current `tf.distribute` strategy; 1 on the other backends."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
