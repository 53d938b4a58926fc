"""What stopped a run, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tfpanoptic.errors import WorkFailed, system_reason

# What fails while the input is right: TensorFlow, memory, disks.
FAILURES = (tf.errors.OpError, MemoryError, OSError)
# Lines and parts of TensorFlow's messages that say where in the graph something failed, not what.
_NOISE_LINES = re.compile(
    r"^(Graph execution error|Detected at node|File \"|<stack traces|\[\[|Hint:|\(\d+\) |\d+ (root|successful) )"
)
_NOISE_PARTS = re.compile(r"\{\{.*?\}\}\s*|\s*\[\[.*?\]\]|\s*\[Op:.*?\]")


def reason(error: BaseException) -> str:
    """The cause of a failure as a phrase; running out of memory is called so."""
    if isinstance(error, OSError) and error.strerror:
        return system_reason(error)
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines()]
    telling = [line for line in lines if line and not _NOISE_LINES.match(line)]
    text = _NOISE_PARTS.sub("", (telling or lines or [""])[0]).strip() or type(error).__name__
    if isinstance(error, MemoryError) or (
        isinstance(error, tf.errors.ResourceExhaustedError) and " space " not in text
    ):
        less = "a larger training.accumulate, or a smaller training.batch_size, augment.crop or input, needs less"
        return f"out of memory ({text}); {less}"
    return text


@contextmanager
def told(what: str) -> Iterator[None]:
    """Within it such failures become a `WorkFailed` that begins with `what`."""
    try:
        yield
    except FAILURES as error:
        raise WorkFailed(f"{what}: {reason(error)}") from None
