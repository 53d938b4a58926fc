"""Files of PyTorch's `torch.save`, read without PyTorch and without running anything of theirs.

Both formats hold a pickle in which a tensor is a shape, strides, an offset and the key of a storage, and the storages'
bytes: since PyTorch 1.6 as members of a zip archive (`NAME/data.pkl`, `NAME/data/KEY`, `NAME/byteorder`), before that
one after the other behind the pickle.

Source: PyTorch's `torch/serialization.py` and `torch/_utils.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple
from zipfile import ZipFile

import numpy as np

from tfpanoptic.convert.safe_pickle import StandIn, Unexpected, is_shape, read_pickle
from tfpanoptic.errors import InputError

# The first pickle of a file before PyTorch 1.6; then come the protocol, the machine, the content and the keys.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


class Tensor(NamedTuple):
    """A tensor of a pickle, not made yet: strides and offset count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The tensor as a read-only array; bfloat16 becomes float32.

        Raises:
            ValueError: the tensor does not lie within its storage, or the storage cannot be read.
        """
        values = self.storage.values()
        if 0 in self.shape:
            return np.zeros(self.shape, values.dtype)
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides))
        if last >= len(values):
            raise ValueError(f"tensor of shape {self.shape} beyond its storage of {len(values)} elements")
        strides = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides, writeable=False)


class Storage:
    """The elements that tensors share.

    Args:
        kind: their type.
        count: how many there are.
        order: "<" or ">", of their bytes.
        read: returns these bytes.
    """

    __slots__ = ("_count", "_kind", "_order", "_read", "_values")

    def __init__(self, kind: StorageKind, count: int, order: str, read: Callable[[int], bytes]):
        self._kind, self._count, self._order, self._read = kind, count, order, read
        self._values: np.ndarray | None = None

    def __setstate__(self, state):
        raise Unexpected("a state for a storage")

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self._count * np.dtype(self._kind.code).itemsize

    def values(self) -> np.ndarray:
        """The elements [count]; they are read once."""
        if self._values is None:
            values = np.frombuffer(self._read(self.size), self._order + self._kind.code)
            if self._kind.bfloat16:  # the upper half of a float32
                values = (values.astype(np.uint32) << 16).view(np.float32)
            self._values = values
        return self._values


class StorageKind(NamedTuple):
    """NumPy's code of the elements; of bfloat16, that of its bits."""

    code: str
    bfloat16: bool = False


def read_zip(archive: ZipFile, origin: object) -> Any:
    """The content of a file since PyTorch 1.6; its tensors, `Tensor`, can be read while the archive is open.

    Args:
        archive: the open file.
        origin: its name, for messages.

    Raises:
        InputError: not PyTorch's, damaged, or its pickle names what is not admitted.
    """
    members = archive.namelist()
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise InputError(f"{origin}: a zip file, but not PyTorch's: expected one NAME/data.pkl, found {len(pickles)}")
    folder = pickles[0].removesuffix("data.pkl")

    def read(name: str, size: int | None = None) -> bytes:
        try:
            if size is not None and archive.getinfo(folder + name).file_size != size:
                raise ValueError(f"expected {size} bytes, found {archive.getinfo(folder + name).file_size}")
            return archive.read(folder + name)
        except Exception as error:  # damaged archives raise many kinds
            raise ValueError(f"{folder}{name}: {error}") from None

    try:
        content = io.BytesIO(read("data.pkl"))
        big_endian = f"{folder}byteorder" in members and read("byteorder") == b"big"
    except ValueError as error:
        raise InputError(f"{origin}: {error}") from None
    order = ">" if big_endian else "<"
    return read_pickle(content, origin, _TORCH, _storages(order, lambda key, size: read(f"data/{key}", size)))


def read_legacy(file: BinaryIO, origin: object) -> Any:
    """The content of a file before PyTorch 1.6, whose first pickle, `LEGACY_MAGIC`, has been read.

    Its tensors, `Tensor`, can be read while the file is open.

    Raises:
        InputError: of another protocol, cut off, or one of its pickles names what is not admitted.
    """
    protocol, machine = (read_pickle(file, origin) for _ in range(2))
    if protocol != _LEGACY_PROTOCOL or not isinstance(machine, dict):
        raise InputError(f"{origin}: PyTorch's protocol {protocol!r}, expected {_LEGACY_PROTOCOL}")
    order = "<" if machine.get("little_endian", True) else ">"
    starts: dict[str, int] = {}
    storages: dict[str, Storage] = {}

    def read(key: str, size: int) -> bytes:
        file.seek(starts[key])
        return file.read(size)

    content = read_pickle(file, origin, _TORCH, _storages(order, read, storages))
    keys = read_pickle(file, origin)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise InputError(f"{origin}: its list of storages is not that of its tensors")
    start = file.tell()
    for key in map(str, keys):
        starts[key] = start + 8  # behind the number of elements
        start = starts[key] + storages[key].size
    if start > file.seek(0, io.SEEK_END):
        raise InputError(f"{origin}: cut off, {start} bytes expected")
    return content


def _storages(
    order: str, read: Callable[[str, int], bytes], storages: dict[str, Storage] | None = None
) -> Callable[[object], Storage]:
    """Persistent id -> storage, the same one for a key; `storages` collects them."""
    storages = {} if storages is None else storages

    def stored(identifier: object) -> Storage:
        match identifier:
            case ("storage", StorageKind() as kind, str(key), _, int(count), *view):
                if count < 0 or view not in ([], [None]):
                    raise Unexpected(f"a storage of {count} elements, view {str(view)[:80]}")
                if key not in storages:
                    storages[key] = Storage(kind, count, order, lambda size: read(key, size))
                return storages[key]
        raise Unexpected(f"a persistent id {str(identifier)[:80]}")

    return stored


def _tensor(storage: object, offset: Any, shape: object, strides: object, *_: object) -> Tensor:
    """What PyTorch's `_rebuild_tensor_v2` is called with; gradients and hooks are passed over."""
    if not (isinstance(storage, Storage) and is_shape((offset,)) and is_shape(shape) and is_shape(strides)):
        raise Unexpected("a tensor without storage, offset, shape or strides")
    if len(shape) != len(strides):
        raise Unexpected(f"a tensor of shape {shape} with strides {strides}")
    return Tensor(storage, offset, shape, strides)


def _parameter(tensor: object, *_: object) -> object:
    return tensor


_TORCH: dict[tuple[str, str], object] = {
    ("torch._utils", "_rebuild_tensor_v2"): StandIn(_tensor),
    ("torch._utils", "_rebuild_parameter"): StandIn(_parameter),
    ("torch", "Size"): StandIn(tuple),
    **{
        ("torch", f"{name}Storage"): kind
        for name, kind in {
            "Double": StorageKind("f8"),
            "Float": StorageKind("f4"),
            "Half": StorageKind("f2"),
            "BFloat16": StorageKind("u2", bfloat16=True),
            "Long": StorageKind("i8"),
            "Int": StorageKind("i4"),
            "Short": StorageKind("i2"),
            "Char": StorageKind("i1"),
            "Byte": StorageKind("u1"),
            "Bool": StorageKind("?"),
        }.items()
    },
}
