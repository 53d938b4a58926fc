"""Typed values of a JSON file's entries: JSON has one kind of number, and people write "1" for 1."""

from __future__ import annotations

import re
import reprlib
import sys
from typing import Any

from tfpanoptic.errors import InputError

MAX_INT32 = (1 << 31) - 1
# `info.image_ids` of a COCO JSON whose image ids are a mere count of its own: file names say which images they are.
COUNTED_IDS = "counted"
MOST = sys.float_info.max
# No control character, line break or half of a surrogate pair: it stays one line, and any file system takes it.
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def require_keys(entry: Any, keys: frozenset[str]) -> None:
    """Checks that an entry of a JSON file is a dict with these keys.

    Raises:
        InputError: it is none, or lacks one; the caller adds the file and the entry's place.
    """
    if not isinstance(entry, dict):
        raise InputError(f"expected an object with {', '.join(sorted(keys))}, found {reprlib.repr(entry)}")
    if not keys <= entry.keys():
        raise InputError(f"lacks {', '.join(sorted(keys - entry.keys()))}")


def integer(entry: dict, key: str, low: int, high: int) -> int:
    """The integer `low..high` under a key of a JSON file's entry; 64.0 and true, which is 1, are integers, too.

    Raises:
        InputError: another type, a fraction, not finite, or out of range; the caller adds the entry's place.
    """
    whole = _whole(entry[key])
    if whole is None or not low <= whole <= high:
        raise InputError(f"{key} must be an integer {low}..{high}, found {reprlib.repr(entry[key])}")
    return whole


def _whole(value: Any) -> int | None:
    """The whole number that a value of JSON is, in any form; None where it is none."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, int) else None


def is_finite(value: Any) -> bool:
    """Whether a value of JSON is a number that a float can hold, and not true or false."""
    return type(value) in (int, float) and -MOST <= value <= MOST


def finite_number(entry: dict, key: str, low: float = -MOST, high: float = MOST) -> float:
    """The number `low..high` under a key of a JSON file's entry.

    Raises:
        InputError: another type, not finite, or out of range; the caller adds the entry's place.
    """
    value = entry[key]
    if not isinstance(value, int | float) or not low <= value <= high:
        least = f" of at least {low:g}" if low > -MOST else ""
        raise InputError(f"{key} must be a finite number{least}, found {reprlib.repr(value)}")
    return float(value)


def flag(entry: dict, key: str) -> bool:
    """The 0, 1, false or true under a key of a JSON file's entry; 0.0 and 1.0 are 0 and 1, too.

    Raises:
        InputError: anything else; the caller adds the entry's place.
    """
    whole = _whole(entry[key])
    if whole not in (0, 1):
        raise InputError(f"{key} must be 0 or 1, found {reprlib.repr(entry[key])}")
    return bool(whole)


def text(entry: dict, key: str) -> str:
    """The text of one line under a key of a JSON file's entry, as names are.

    Raises:
        InputError: another type, empty, or with control characters; the caller adds the entry's place.
    """
    value = entry[key]
    if not isinstance(value, str) or not TEXT.fullmatch(value):
        raise InputError(f"{key} must be a text of one line, found {reprlib.repr(value)}")
    return value
