"""Grey images of more than 8 bits as 8 bits, by the rule that `input.deep_grey` names."""

from __future__ import annotations

import sys

import numpy as np

from tfpanoptic.errors import InputError
from tfpanoptic.settings.sizes import DeepGrey

# Levels of 256 up to which it is said that the high byte keeps few. Own choice: 14 bits in a file of 16 leave 64.
FEW_LEVELS = 64
_said: set[str] = set()


def high_bytes(values: np.ndarray, origin: str) -> np.ndarray:
    """The high byte of each value, uint8; said once on standard error where that leaves few levels.

    Args:
        values: uint16 of any shape.
        origin: the file's name, for the message.
    """
    levels = (values >> 8).astype(np.uint8)
    if levels.size and values.min() != values.max():
        low, high = int(levels.min()), int(levels.max())
        if high - low < FEW_LEVELS:
            say_few_levels(origin, high - low + 1, f"values {values.min()} to {values.max()} of 16 bits")
    return levels


def stretched(values: np.ndarray, origin: str) -> np.ndarray:
    """The values from the lowest to the highest as 0 to 255, uint8, rounded half up; all equal ones are 0.

    Raises:
        InputError: a value is not finite.
    """
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{origin}: holds values that are not finite; expected numbers")
    span = np.ptp(values) if values.size else 0.0
    if span == 0:
        return np.zeros(values.shape, np.uint8)
    return np.floor((values - values.min()) * 255.0 / span + 0.5).astype(np.uint8)


def as_bytes(values: np.ndarray, rule: DeepGrey, origin: str) -> np.ndarray:
    """Grey values as 8 bits, uint8 of the same shape.

    Args:
        values: uint16; with "file_range" any numbers.
        rule: `input.deep_grey`.
        origin: the file's name, for messages.

    Raises:
        InputError: wider numbers, which have no high byte of 16 bits, or numbers that are not finite.
    """
    if rule == "file_range":
        return stretched(values, origin)
    if values.dtype.itemsize != 2:
        raise InputError(
            f"{origin}: expected 8 or 16 bits a channel, found {values.dtype}; rescale it first, or train with "
            "input.deep_grey=file_range"
        )
    return high_bytes(values, origin)


def say_few_levels(origin: str, levels: int, what: str) -> None:
    """Says once a process, on standard error, that a file keeps few grey levels."""
    if _said:
        return
    _said.add(origin)
    print(
        f"{origin}: {what}; of 256 grey levels {levels} are left, for the high byte is kept "
        "(input.deep_grey=file_range stretches each file's range); not said again for other files",
        file=sys.stderr,
    )
