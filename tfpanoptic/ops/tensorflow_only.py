"""What needs the TensorFlow backend says so, before it does anything."""

from __future__ import annotations

import keras

from tfpanoptic.errors import InputError


def require_tensorflow(what: str) -> None:
    """Checks that Keras runs on TensorFlow.

    Args:
        what: needs it, for the message.

    Raises:
        InputError: another backend.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(f"{what} needs KERAS_BACKEND=tensorflow, found {backend}")
