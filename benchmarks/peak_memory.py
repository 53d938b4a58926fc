"""The memory that one call of a compiled function needs."""

from __future__ import annotations

import tensorflow as tf


def peak_megabytes(function, arguments) -> float:
    """Most memory that TensorFlow had given out during a call, less that before it, after tracing on the same shapes.

    The resident memory of the process would say less: on processors TensorFlow's allocator keeps what is freed.

    Raises:
        RuntimeError: TensorFlow does not count; on processors it does where oneDNN is on.
    """
    function = function.get_concrete_function(*arguments)
    device = "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
    tf.config.experimental.reset_memory_stats(device)
    before = tf.config.experimental.get_memory_info(device)["current"]
    function(*arguments)
    peak = tf.config.experimental.get_memory_info(device)["peak"]
    if not peak:
        raise RuntimeError(f"TensorFlow {tf.__version__} does not count the memory of {device}; is oneDNN off?")
    return (peak - before) / 2**20
