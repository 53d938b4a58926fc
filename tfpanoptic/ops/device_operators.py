"""Whether a graph is being made for devices: LiteRT has other costs than TensorFlow, and stacks no rows of any width.

It is asked while a graph is traced, never when it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FOR_DEVICES = ContextVar("for_devices", default=False)


@contextmanager
def for_devices() -> Iterator[None]:
    """Graphs that are traced within are for devices."""
    token = _FOR_DEVICES.set(True)
    try:
        yield
    finally:
        _FOR_DEVICES.reset(token)


def is_for_devices() -> bool:
    """Whether the graph that is being traced is for devices."""
    return _FOR_DEVICES.get()
