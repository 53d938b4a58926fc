"""TensorFlow for the verbs that need it, without its lines about itself."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tfpanoptic.errors import InputError


def import_tensorflow(what: str | None = None) -> None:
    """Imports TensorFlow, which the package leaves to the user to choose.

    Its C++ core writes lines about itself to standard error whatever the log level says; nothing of a
    person's own is said at that moment, so they are dropped. An error of the import is raised as usual.

    Args:
        what: needs it as the backend of Keras, too, for the message; None leaves the backend open.

    Raises:
        InputError: it is not installed, or the environment chooses another backend.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if what is not None and backend != "tensorflow":
        raise InputError(f"{what} needs KERAS_BACKEND=tensorflow, found {backend}")
    if "tensorflow" in sys.modules:
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "TensorFlow is not installed; install it with `pip install 'tfpanoptic[cpu]'` or 'tfpanoptic[gpu]'"
        )
    with quiet_standard_error():
        importlib.import_module("tensorflow")


@contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Drops what is written to standard error meanwhile, by C++ as well."""
    standard_error, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nowhere)
