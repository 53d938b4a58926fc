"""Peak memory of the present process."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory() -> int | None:
    """The most memory that this process has had at a time, bytes; None where the system does not tell.

    On Linux not `getrusage`, whose peak begins with that of the process that started this one.
    """
    if _STATUS.is_file():
        lines = [line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:")]
        return int(lines[0].split()[1]) * 1024 if lines else None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes there
    return None
