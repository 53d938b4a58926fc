"""Times of functions that take turns, so that a busy moment of the machine meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def medians_ms(functions: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median time of a call of each function in ms, after a round that traces; every round calls each once.

    Args:
        functions: what to call; of one that returns tensors, `waiting`.
        runs: rounds that count.
    """
    for function in functions.values():
        function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(taken) for name, taken in times.items()}


def waiting(function: Callable[[], object]) -> Callable[[], object]:
    """The function, which returns when TensorFlow has computed what it returns: a number of each tensor."""
    import tensorflow as tf

    return lambda: tf.nest.map_structure(lambda result: result.numpy().ravel()[:1], function())
