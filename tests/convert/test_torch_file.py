import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from tests.convert.torch_files import Pickler, Storage, Tensor, tensor_of, torch_names, write_legacy, write_zip
from tfpanoptic.convert.safe_pickle import read_pickle
from tfpanoptic.convert.torch_file import LEGACY_MAGIC, read_legacy, read_zip
from tfpanoptic.errors import InputError

WRITERS = {"zip": write_zip, "legacy": write_legacy}


def arrays_of(path):
    """The arrays of a file of either format, by name."""
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return {name: tensor.array() for name, tensor in read_zip(archive, path).items()}
        file.seek(0)
        assert read_pickle(file, path) == LEGACY_MAGIC
        return {name: tensor.array() for name, tensor in read_legacy(file, path).items()}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    def written(content):
        WRITERS[request.param](tmp_path / "w.pth", content)
        return tmp_path / "w.pth"

    return written


def test_tensors_of_all_kinds_equal_what_was_written(write):
    expected = {
        "Float": np.array([[1.5, -2], [3, 4]], "f4"),
        "Double": np.array([1e300]),
        "Half": np.array([0.5, 65504], "f2"),
        "Long": np.array(-(2**40)),
        "Byte": np.array([255, 0], "u1"),
        "Bool": np.array([True, False]),
    }
    found = arrays_of(write(OrderedDict((kind, tensor_of(array, kind)) for kind, array in expected.items())))
    assert found.keys() == expected.keys()
    for kind, array in expected.items():
        np.testing.assert_array_equal(found[kind], array)
        assert found[kind].dtype == array.dtype


def test_bfloat16_is_the_upper_half_of_a_float32(write):
    # 1 is 0x3f800000 and -2.5 is 0xc0200000.
    found = arrays_of(write({"w": tensor_of(np.array([0x3F80, 0xC020]), "BFloat16")}))["w"]
    np.testing.assert_array_equal(found, np.array([1, -2.5], "f4"))
    assert found.dtype == np.float32


def test_strides_and_offsets_are_respected(write):
    shared = Storage("Float", np.arange(12))
    found = arrays_of(
        write(
            {
                "transposed": Tensor(shared, (4, 3), (1, 4)),
                "column": Tensor(shared, (3,), (4,), offset=2),
                "last": Tensor(shared, (), (), offset=11),
                "repeated": Tensor(shared, (2, 2), (0, 1), offset=5),
                "empty": Tensor(shared, (0, 3), (3, 1), offset=12),
            }
        )
    )
    np.testing.assert_array_equal(found["transposed"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(found["column"], [2, 6, 10])
    np.testing.assert_array_equal(found["last"], 11)
    np.testing.assert_array_equal(found["repeated"], [[5, 6], [5, 6]])
    assert found["empty"].shape == (0, 3)


def test_tensors_may_share_a_storage_in_a_file_of_many(write):
    first, second = Storage("Float", [1, 2]), Storage("Float", [3, 4, 5])
    found = arrays_of(write({name: Tensor(s, s.values.shape, (1,)) for name, s in zip("abc", (first, second, first))}))
    np.testing.assert_array_equal(np.concatenate([found[name] for name in "abc"]), [1, 2, 3, 4, 5, 1, 2])


def test_big_endian_files_are_read(tmp_path):
    write_zip(tmp_path / "w.pth", {"w": tensor_of([1, 256], "Long")}, order=">")
    np.testing.assert_array_equal(arrays_of(tmp_path / "w.pth")["w"], [1, 256])


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        import sys

        return sys.modules["torch._utils"]._rebuild_parameter, (self.tensor, True, OrderedDict())


def test_parameters_are_their_tensors(write):
    np.testing.assert_array_equal(arrays_of(write({"w": Parameter(tensor_of([1, 2]))}))["w"], [1, 2])


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(Storage("Float", [1, 2]), (3,), (1,)),
        Tensor(Storage("Float", [1, 2]), (2,), (1,), offset=1),
        Tensor(Storage("Float", [1, 2]), (2, 2), (1, 1)),
        Tensor(Storage("Float", []), (), ()),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(write, tensor):
    with pytest.raises(ValueError, match="beyond its storage"):
        arrays_of(write({"w": tensor}))


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(Storage("Float", [1, 2]), (2,), (1,), offset=-1),
        Tensor(Storage("Float", [1, 2]), (2,), (-1,), offset=1),
        Tensor(Storage("Float", [1, 2]), (2,), (1, 1)),
        Tensor("a string", (2,), (1,)),
    ],
)
def test_what_is_no_tensor_is_refused(write, tensor):
    with pytest.raises(InputError, match=r"w\.pth: refused, because its pickle holds a tensor"):
        arrays_of(write({"w": tensor}))


class Call:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    "content",
    [
        {"w": Call()},
        {"w": tensor_of([1.0]), "optimizer": {"x": [Call()]}},
        {"w": Tensor(Call(), (1,), (1,))},
        {"w": Tensor(Storage("Float", [1]), (Call(),), (1,))},
        {"w": Parameter(Call())},
    ],
)
def test_calls_in_a_file_are_refused_and_nothing_runs(write, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(content)
    with pytest.raises(InputError, match=rf"w\.pth: refused, because its pickle names {os.system.__module__}\.system"):
        arrays_of(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("part", range(1, 5))
def test_calls_in_any_pickle_of_a_legacy_file_are_refused_and_nothing_runs(part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = [pickle.dumps(value, protocol=2) for value in (LEGACY_MAGIC, 1001, {}, {}, [])]
    parts[part] = pickle.dumps(Call(), protocol=2)
    (tmp_path / "w.pth").write_bytes(b"".join(parts))
    with pytest.raises(InputError, match="system"):
        arrays_of(tmp_path / "w.pth")
    assert list(tmp_path.iterdir()) == [tmp_path / "w.pth"]


def test_other_names_of_pytorch_are_refused(tmp_path):
    for name in (b"torch\nload", b"torch._utils\n_import_dotted_name", b"torch.nn.modules.linear\nLinear"):
        with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
            archive.writestr("w/data.pkl", b"c" + name + b"\n.")
        with pytest.raises(InputError, match=r"w\.pth: refused, because its pickle names torch"):
            arrays_of(tmp_path / "w.pth")


def test_a_state_for_a_storage_is_refused(tmp_path):
    with torch_names():
        file = io.BytesIO()
        Pickler(file).dump(Storage("Float", [1, 2]))
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("w/data.pkl", file.getvalue()[:-1] + b"(N}S'_read'\nI1\nstb.")
    with pytest.raises(InputError, match="a state for a storage"):
        arrays_of(tmp_path / "w.pth")


@pytest.mark.parametrize("identifier", [("module", "x"), ("storage", "FloatStorage", "0", "cpu", 1), "0", None])
def test_other_persistent_ids_are_refused(identifier, tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps(identifier, protocol=2)[:-1] + b"Q.")
    with pytest.raises(InputError, match="persistent id"):
        arrays_of(tmp_path / "w.pth")


def test_a_zip_file_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "no")
    with pytest.raises(InputError, match=r"w\.pth: a zip file, but not PyTorch's"):
        arrays_of(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [None, b"\0" * 7])
def test_a_storage_that_is_missing_or_has_another_size_is_named(content, tmp_path):
    path = tmp_path / "w.pth"
    write_zip(path, {"w": tensor_of([1.0, 2.0])})
    with zipfile.ZipFile(path) as archive:
        pickled = archive.read("archive/data.pkl")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        if content is not None:
            archive.writestr("archive/data/0", content)
    with pytest.raises(ValueError, match="archive/data/0"):
        arrays_of(path)


def test_a_legacy_file_that_is_cut_off_is_refused(tmp_path):
    write_legacy(tmp_path / "w.pth", {"w": tensor_of([1.0, 2.0])})
    content = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(content[:-1])
    with pytest.raises(InputError, match=rf"w\.pth: cut off, {len(content)} bytes expected"):
        arrays_of(tmp_path / "w.pth")
