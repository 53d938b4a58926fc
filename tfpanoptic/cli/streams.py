"""Standard output and standard error that cannot fail in the middle of the work: a full disk, a closed pipe.

What cannot be printed is dropped and the work goes on, so that files are complete; the command line says at the end
that standard output was lost. Standard error carries notes and progress, without which a result is still right.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any


class KeptError(io.RawIOBase):
    """A raw stream whose first error of writing is kept in `error`, not raised; what comes after it is dropped.

    Args:
        raw: the stream; None for one that was closed before the program started.
    """

    def __init__(self, raw: Any):
        super().__init__()
        self.raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.raw is not None and self.raw.isatty()

    def fileno(self) -> int:
        """Its number.

        Raises:
            OSError: it was closed.
        """
        if self.raw is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self.raw.fileno()

    def write(self, data: Any) -> int:
        """Writes what can be written; says that all was."""
        if self.error is None:
            try:
                if self.raw is None:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                return self.raw.write(data)
            except OSError as error:
                self.error = error
        return len(data)


def guard_streams() -> KeptError | None:
    """Puts streams that cannot fail in place of the process's own; that of standard output, None if it is not ours.

    Names of files and categories may be none of the terminal's letters: these are replaced.
    """
    _occupy_closed()
    output = None
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is not None and not _is_own(stream, number):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
            continue
        raw = KeptError(None if stream is None else getattr(stream.buffer, "raw", stream.buffer))
        encoding = "utf-8" if stream is None else stream.encoding
        lines = number == 2 or (stream is not None and stream.line_buffering)
        guarded = io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="replace", line_buffering=lines)
        setattr(sys, name, guarded)
        output = raw if number == 1 else output
    return output


def lost_output(output: KeptError | None) -> OSError | None:
    """Why something could not be printed on the standard output of `guard_streams`; None if all was."""
    if output is None:
        return None
    sys.stdout.flush()
    return output.error


def _occupy_closed() -> None:
    """Opens the null device in place of standard streams that are closed: the next file would get their number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number


def _is_own(stream: Any, number: int) -> bool:
    """Whether a stream is the process's own: tests and notebooks put others in its place."""
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    except (OSError, ValueError):
        return False
