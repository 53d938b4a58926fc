"""Chains of small operators as one program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from tfpanoptic.compiled import compiled


def fused(function: Callable) -> Callable:
    """The function of tensors, which XLA compiles where TensorFlow would run it operator by operator.

    On the other backends it stays as it is, for they compile what calls it. Plain numbers among its arguments are part
    of the program. Its argument `pixels` is that of `compiled.compiled`: with few of them nothing is compiled.
    """
    program = compiled(function)

    @functools.wraps(function)
    def call(*arguments: Any, pixels: int | None = None) -> Any:
        if keras.backend.backend() != "tensorflow":
            return function(*arguments)
        return program(*arguments, pixels=pixels)

    return call
