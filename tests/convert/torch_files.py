"""Files as `torch.save` writes them, without PyTorch: the formats since 1.6 (zip) and before.

Source: PyTorch's `torch/serialization.py`.
"""

import io
import pickle
import sys
import types
import zipfile
from contextlib import contextmanager

import numpy as np

KINDS = {"Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "u2", "Long": "i8", "Byte": "u1", "Bool": "?"}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class Storage:
    def __init__(self, kind, values):
        self.kind, self.values = kind, np.ascontiguousarray(values, KINDS[kind])


class Tensor:
    """Pickled as PyTorch pickles a tensor; strides and offset count elements."""

    def __init__(self, storage, shape, strides, offset=0):
        self.arguments = (storage, offset, tuple(shape), tuple(strides), False)

    def __reduce__(self):
        from collections import OrderedDict

        return sys.modules["torch._utils"]._rebuild_tensor_v2, (*self.arguments, OrderedDict())


def tensor_of(array, kind="Float"):
    """A contiguous tensor with a storage of its own."""
    array = np.asarray(array, KINDS[kind])
    strides = [stride // array.itemsize for stride in np.ascontiguousarray(array).strides]
    return Tensor(Storage(kind, array.ravel()), array.shape, strides if array.ndim else ())


@contextmanager
def torch_names():
    """Modules with PyTorch's names, for the pickler to refer to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in KINDS:
        setattr(torch, f"{kind}Storage", type(f"{kind}Storage", (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        function = types.FunctionType((lambda *arguments: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class Pickler(pickle.Pickler):
    """Keeps storages outside the pickle."""

    def __init__(self, file, more=()):
        super().__init__(file, protocol=2)
        self.storages, self.more = {}, more

    def persistent_id(self, item):
        if not isinstance(item, Storage):
            return None
        key = next((key for key, known in self.storages.items() if known is item), str(len(self.storages)))
        self.storages[key] = item
        kind = getattr(sys.modules["torch"], f"{item.kind}Storage")
        return ("storage", kind, key, "cpu", item.values.size, *self.more)


def pickled(content, more=()):
    """The pickle's bytes and its storages by key."""
    with torch_names():
        file = io.BytesIO()
        pickler = Pickler(file, more)
        pickler.dump(content)
    return file.getvalue(), pickler.storages


def write_zip(path, content, order="<", name="archive"):
    """A file since PyTorch 1.6."""
    data, storages = pickled(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/data.pkl", data)
        archive.writestr(f"{name}/byteorder", "little" if order == "<" else "big")
        for key, storage in storages.items():
            archive.writestr(
                f"{name}/data/{key}", storage.values.astype(storage.values.dtype.newbyteorder(order)).tobytes()
            )
        archive.writestr(f"{name}/version", "3\n")


def write_legacy(path, content):
    """A file before PyTorch 1.6."""
    data, storages = pickled(content, more=(None,))
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(part, protocol=2) for part in (LEGACY_MAGIC, 1001, machine)]
    parts += [data, pickle.dumps(sorted(storages), protocol=2)]
    for key in sorted(storages):
        values = storages[key].values
        parts += [np.int64(values.size).tobytes(), values.tobytes()]
    path.write_bytes(b"".join(parts))
