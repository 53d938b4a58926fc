"""The memory that one call of a compiled function needs (Linux only)."""

from __future__ import annotations

import ctypes
from pathlib import Path


def peak_megabytes(function, arguments) -> float:
    """Highest resident memory during a call, less that before it, after tracing on the same shapes."""
    function = function.get_concrete_function(*arguments)
    ctypes.CDLL(None).malloc_trim(0)  # freed memory would be used again and not counted
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = _resident_kilobytes("VmRSS")
    function(*arguments)
    return (_resident_kilobytes("VmHWM") - before) / 1024


def _resident_kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
