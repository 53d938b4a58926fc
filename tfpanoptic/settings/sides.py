"""Sizes as a person writes them: 256 or 256x384."""

from __future__ import annotations

import re

from tfpanoptic.errors import InputError


def read_sides(option: str, text: str) -> tuple[int, int]:
    """(height, width) of "HxW", or of one number for both.

    Args:
        option: what it is given for, for the message.
        text: as written.

    Raises:
        InputError: it is not written so, or a side is 0.
    """
    match = re.fullmatch(r"(\d+)(?:[xX](\d+))?", text.strip())
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(sides) < 1:
        raise InputError(f"{option} {text!r}: expected one side or HxW, such as 256 or 256x384")
    return sides
