"""The tf.distribute strategy of a run."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfpanoptic.errors import InputError

STRATEGIES = ("auto", "one", "mirrored")


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Strategy by name: `one` device, `mirrored` over all local ones, `auto` mirrors if there are several GPUs.

    Raises:
        InputError: an unknown name, or a `keras.distribution` is set: on TensorFlow that would be
            ignored silently (measured on Keras 3.15).
    """
    if name not in STRATEGIES:
        raise InputError(f"strategy: expected one of {', '.join(STRATEGIES)}, found {name!r}")
    if keras.distribution.distribution() is not None:
        raise InputError("keras.distribution has no effect on TensorFlow; use a tf.distribute strategy")
    gpus = tf.config.list_logical_devices("GPU")
    if name == "one" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    # Without GPUs, the logical CPUs: that is how two replicas are tested on one machine.
    return tf.distribute.MirroredStrategy([d.name for d in gpus or tf.config.list_logical_devices("CPU")])


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one of its workers that writes; a process on its own is.

    Source: TensorFlow's tutorial on multi-worker training.
    """
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return resolver.task_type == "worker" and resolver.task_id == 0 and "chief" not in resolver.cluster_spec().as_dict()
