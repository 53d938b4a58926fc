"""Chains of small operators as one program whose results are kept."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from tfpanoptic.compiled import compiled


def fused(function: Callable) -> Callable:
    """The function of tensors as a program of its own, compiled by XLA.

    TensorFlow would run it operator by operator, each with its pass over memory. XLA, on the other hand, computes a
    value again for each reader that it fuses it with, such as a random index for each of several gathers: a long
    calculation is faster as a few programs one after the other. Where XLA compiles what calls the function, TensorFlow
    makes one program of both; on JAX the results are kept all the same. Not for what has a gradient.

    Plain numbers and functions among the arguments are part of the program. The argument `pixels` is that of
    `compiled.compiled`: where they are few, nothing is compiled.
    """
    program = compiled(function)

    @functools.wraps(function)
    def call(*arguments: Any, pixels: int | None = None) -> Any:
        backend = keras.backend.backend()
        if backend == "tensorflow":
            return program(*arguments, pixels=pixels)
        if backend == "jax":
            import jax

            return jax.lax.optimization_barrier(function(*arguments))
        return function(*arguments)

    return call
