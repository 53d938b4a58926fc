"""Pickles of arrays, read without running anything of theirs.

A pickle is a program that may call whatever it can name. This reader looks names up in a table of its own, which holds
what NumPy arrays and plain containers need, and refuses every other one. Nothing in the table is the real function or
class: arrays become records of a dtype, a shape and bytes, checked when they are made an array.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeGuard

import numpy as np

from tfpanoptic.errors import InputError

_NUMBERS = re.compile(r"b1|[iu][1248]|f[248]")
_ORDERS = {"<": "<", ">": ">", "=": "=", "|": "="}
_NAME = re.compile(r"[\w.]+")
# How a pickle begins since protocol 2. Source: PEP 307.
_PROTOCOL = b"\x80"


class NoPickle(InputError):
    """The file holds no pickle, or not a whole one."""


class Unexpected(pickle.UnpicklingError):
    """What a sound pickle holds and this reader does not admit; the text says what it is."""


def read_pickle(
    file: BinaryIO,
    origin: object,
    more: Mapping[tuple[str, str], object] | None = None,
    stored: Callable[[object], object] | None = None,
) -> Any:
    """The next pickle of a file: plain values, lists, dicts and so on, and `StoredArray` for arrays.

    Args:
        file: open for binary reading; it stands behind the pickle afterwards.
        origin: the file's name, for messages.
        more: (module, name) -> what stands for it, beside arrays and plain containers.
        stored: persistent id -> what stands for it; without this function persistent ids are refused.

    Raises:
        NoPickle: no pickle, damaged or cut off.
        InputError: it names something that is not in the table, or is refused for another reason.
    """
    position = file.tell()
    began = file.read(1) in (b"", _PROTOCOL)
    file.seek(position)
    try:
        return _Reader(file, origin, {**_PLAIN, **(more or {})}, stored).load()
    except InputError:
        raise
    except Unexpected as error:
        raise InputError(f"{origin}: refused, because its pickle holds {error}") from None
    except Exception as error:  # damaged pickles raise whatever their next instruction leads to
        cut_off = isinstance(error, EOFError) or "truncated" in str(error)
        fault = "a pickle that is cut off" if cut_off else "a damaged pickle"
        raise NoPickle(f"{origin}: {fault if began else 'not a pickle, or a damaged one'}") from None


class StandIn:
    """Takes the place of a function or class that a pickle may call; the pickle cannot change it.

    Args:
        function: what a call returns.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, *arguments):
        """What stands for the result of the call."""
        return self._function(*arguments)

    def __setstate__(self, state):
        raise Unexpected("a state for a function")


class StoredArray:
    """A NumPy array of a pickle, not made yet.

    Pickles before protocol 5 create it empty and set its state afterwards.
    """

    __slots__ = ("_axes", "_content", "_dtype", "_order", "_shape")

    def __init__(self, content: object = b"", dtype: object = None, shape: object = (), order="C", axes: object = None):
        self._content, self._dtype, self._shape, self._order, self._axes = content, dtype, shape, order, axes

    def __setstate__(self, state):
        _, self._shape, self._dtype, fortran, self._content = state
        self._order = "F" if fortran else "C"

    def array(self) -> np.ndarray:
        """The array, which may be read only.

        Raises:
            ValueError: dtype, shape and number of bytes do not belong together, or it holds objects.
        """
        content, shape = self._content, self._shape
        if isinstance(content, str):  # a byte string of Python 2
            content = content.encode("latin1")
        if not (isinstance(self._dtype, _StoredDtype) and isinstance(content, bytes | bytearray) and is_shape(shape)):
            raise ValueError("not an array of numbers")
        dtype = self._dtype.numpy()
        if math.prod(shape) * dtype.itemsize != len(content):
            raise ValueError(f"array of shape {shape} and dtype {dtype} with {len(content)} bytes")
        values = np.frombuffer(content, dtype)
        if self._order != "K":
            return values.reshape(shape, order=self._order)
        if not is_shape(self._axes):
            raise ValueError(f"array with axes {self._axes!r}")
        return values.reshape(shape).transpose(self._axes)


def is_shape(value: object) -> TypeGuard[tuple[int, ...]]:
    """Whether this is a tuple of integers that are not negative."""
    return isinstance(value, tuple) and all(type(size) is int and size >= 0 for size in value)


class _Reader(pickle.Unpickler):
    def __init__(self, file: BinaryIO, origin: object, admitted: Mapping[tuple[str, str], object], stored):
        # Python 2 wrote the bytes of arrays as strings.
        super().__init__(file, encoding="latin1")
        self._origin, self._admitted, self._stored = origin, admitted, stored

    def find_class(self, module, name):
        if not (_NAME.fullmatch(module) and _NAME.fullmatch(name)):  # lines of a text that is no pickle
            raise pickle.UnpicklingError("no names")
        if (module, name) not in self._admitted:
            raise InputError(
                f"{self._origin}: refused, because its pickle names {module}.{name}; "
                "only arrays, tensors and plain containers are read"
            )
        return self._admitted[module, name]

    def persistent_load(self, pid):
        if self._stored is None:
            raise pickle.UnpicklingError("a persistent id")
        return self._stored(pid)


class _StoredDtype:
    """A number's type; its byte order is the state that a pickle sets."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: object, *_: object):
        if not (isinstance(code, str) and _NUMBERS.fullmatch(code)):
            raise Unexpected(f"an array of NumPy dtype {code!r}; only numbers are read")
        self._code, self._order = code, "="

    def __setstate__(self, state):
        self._order = _ORDERS[state[1]]

    def numpy(self) -> np.dtype:
        return np.dtype(self._order + self._code)


class _OrderedDict(dict):
    """An ordered dict without its attributes (PyTorch keeps version numbers there)."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


def _bytes(text: object = "", encoding: object = "latin1") -> bytes:
    """The bytes that Python 3 wrote as text, for protocols that know no bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Unexpected(f"bytes from {type(text).__name__} as {encoding!r}")
    return text.encode("latin1")


_NUMPY = {
    "multiarray": {
        "_reconstruct": StandIn(lambda *_: StoredArray()),
        "scalar": StandIn(lambda dtype, content=b"": StoredArray(content, dtype)),
    },
    "numeric": {"_frombuffer": StandIn(StoredArray)},
}

_PLAIN: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): _OrderedDict,
    ("_codecs", "encode"): StandIn(_bytes),
    ("builtins", "bytes"): StandIn(_bytes),
    ("__builtin__", "bytes"): StandIn(_bytes),
    ("numpy", "ndarray"): "numpy.ndarray",  # only passed on, never called
    ("numpy", "dtype"): StandIn(_StoredDtype),
    # NumPy 2 renamed `core`.
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, functions in _NUMPY.items()
        for name, stand_in in functions.items()
    },
}
