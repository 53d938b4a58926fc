"""Precisions of the numbers of an exported network; what each is, `export/litert.py` says."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["none", "float16", "dynamic", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
