import io
import os
import pickle
import subprocess
from collections import OrderedDict

import numpy as np
import pytest

from tfpanoptic.convert.safe_pickle import NoPickle, StoredArray, read_pickle
from tfpanoptic.errors import InputError


def read(content: bytes):
    return read_pickle(io.BytesIO(content), "weights.pkl")


def arrays_of(value):
    """The value with its stored arrays made."""
    if isinstance(value, StoredArray):
        return value.array()
    return {key: arrays_of(item) for key, item in value.items()} if isinstance(value, dict) else value


NUMBERS = {
    "float32": np.arange(6, dtype="f4").reshape(1, 2, 3),
    "float16": np.array([0.5, -2], "f2"),
    "float64": np.array([[1e300]]),
    "big_endian": np.array([1, 258], ">i4"),
    "bytes_above_127": np.array([-1, -2], "i8"),
    "flags": np.array([True, False]),
    "columns_first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "axes_in_another_order": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    "empty": np.zeros((0, 3), "f4"),
    "no_axis": np.array(3, "u1"),
    "scalar": np.float32(2.5),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_all_protocols_equal_what_was_written(protocol):
    found = arrays_of(read(pickle.dumps(NUMBERS, protocol=protocol)))
    assert found.keys() == NUMBERS.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, NUMBERS[name], err_msg=name)
        assert array.dtype == NUMBERS[name].dtype, name


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers_equal_what_was_written(protocol):
    content = {"a": [1, 2.5, None, True], "b": ("x", b"", b"\xff\x00"), "c": OrderedDict(z=1, y=2)}
    found = read(pickle.dumps(content, protocol=protocol))
    assert found == content and list(found["c"]) == ["z", "y"]


@pytest.mark.parametrize("core", ["core", "_core"])
def test_modules_of_numpy_1_and_2_are_known(core):
    content = pickle.dumps(np.array([1.5]), protocol=0)
    assert b"cnumpy._core.multiarray\n" in content
    np.testing.assert_array_equal(read(content.replace(b"_core", core.encode())).array(), [1.5])


def test_arrays_of_python_2_are_read():
    # What Python 2 and NumPy 1 write by protocol 2 for {'w': np.array([1, -2], 'f4')}: strings without an encoding.
    content = (
        b"\x80\x02}q\x00U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08\x00\x00\x80\x3f\x00\x00\x00\xc0tbs."
    )
    np.testing.assert_array_equal(read(content)["w"].array(), np.array([1, -2], "f4"))


def test_the_attributes_of_an_ordered_dict_are_passed_over():
    content = OrderedDict(a=1)
    content._metadata = OrderedDict(version=2)
    found = read(pickle.dumps(content, protocol=2))
    assert found == {"a": 1} and not hasattr(found, "_metadata")


def test_two_pickles_of_a_file_are_read_one_after_the_other():
    file = io.BytesIO(pickle.dumps([1]) + pickle.dumps([2]) + b"rest")
    assert [read_pickle(file, "x"), read_pickle(file, "x")] == [[1], [2]]
    assert file.read() == b"rest"


class Calls:
    """Pickled as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


MARK = "open('ran', 'w').close()"


def attacks():
    """Words of the refusal -> the pickle; what runs a command of an attack leaves a file in the working folder."""
    system = Calls(os.system, "touch ran")
    evaluate = Calls(eval, MARK)
    objects = np.empty(1, object)
    objects[0] = "x"
    hostile_objects = np.empty(1, object)
    hostile_objects[0] = system
    return {
        f"{os.system.__module__}.system": pickle.dumps(system),
        "builtins.eval": pickle.dumps({"model": {"w": np.zeros(2), "x": [evaluate]}}),
        "__builtin__.eval": pickle.dumps(evaluate, protocol=2),
        "subprocess.Popen": pickle.dumps(Calls(subprocess.Popen, ["touch", "ran"])),
        "builtins.getattr": pickle.dumps(Calls(getattr, "x", "upper")),
        "numpy.load": pickle.dumps(Calls(np.load, "ran")),
        "dtype 'O8'": pickle.dumps(objects),
        "dtype 'O8' ": pickle.dumps(hostile_objects),
        "dtype 'V8'": pickle.dumps(np.zeros(1, [("a", "f4"), ("b", "f4")])),
        # A name with dots reaches into what is admitted.
        "collections.OrderedDict.fromkeys.__self__": (
            b"\x80\x04\x8c\x0bcollections\x8c\x1dOrderedDict.fromkeys.__self__\x93."
        ),
        "numpy._core.multiarray._reconstruct.__globals__": (
            b"\x80\x04\x8c\x16numpy._core.multiarray\x8c\x18_reconstruct.__globals__\x93."
        ),
        "copyreg._reconstructor": b"ccopyreg\n_reconstructor\n.",
        # Old instructions that make an instance.
        "os.popen": b"(S'touch ran'\nios\npopen\n.",
        "os.execlp": b"(cos\nexeclp\nS'touch'\no.",
        # What is admitted, with a state of the attacker's.
        "holds a state for a function": b"cnumpy\ndtype\n(N}S'__call__'\nI1\nstb.",
        "not a pickle, or a damaged one": b"ccollections\nOrderedDict\n(N}S'__setitem__'\nI1\nstb.",
        "not a pickle, or a damaged one ": b"cnumpy\nndarray\n(I9\ntR.",
        "a damaged pickle": b"\x80\x02U\x01xQ.",  # a persistent id
    }


@pytest.mark.parametrize("refused", attacks())
def test_what_is_no_array_is_refused_and_nothing_runs(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        read(attacks()[refused])
    assert str(error.value).startswith("weights.pkl: ") and "\n" not in str(error.value)
    assert refused.strip() in str(error.value)
    assert not list(tmp_path.iterdir())


def test_attacks_would_run_in_an_ordinary_unpickler(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(attacks()["builtins.eval"])
    assert (tmp_path / "ran").exists()


def test_a_refused_pickle_leaves_the_reader_as_it_was():
    for content in attacks().values():
        with pytest.raises(InputError):
            read(content)
    test_plain_containers_equal_what_was_written(2)
    test_arrays_of_all_protocols_equal_what_was_written(2)


WHOLE = pickle.dumps({"w": np.arange(9.0)})


@pytest.mark.parametrize("content", [WHOLE[:size] for size in (0, 1, 2, 5, 40, len(WHOLE) // 2, len(WHOLE) - 1)])
def test_a_pickle_that_is_cut_off_says_so(content):
    with pytest.raises(NoPickle) as error:
        read(content)
    assert str(error.value) == "weights.pkl: a pickle that is cut off"


def test_a_damaged_pickle_says_so():
    with pytest.raises(NoPickle) as error:
        read(WHOLE[:2] + b"\xff" + WHOLE[3:])
    assert str(error.value) == "weights.pkl: a damaged pickle"


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"Place the weights here\n",
        b"config of a model:\nname: x\n",
        b"inputs, outputs\n1, 2\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"<!DOCTYPE html>\n<html></html>\n",
        b"(see the other file)\n",
        b"{}",
        b"\n",
        b"\x89PNG\r\n\x1a\n",
        "Gewichte für später".encode("utf-16"),
    ],
)
def test_a_file_of_something_else_is_called_no_pickle(content):
    with pytest.raises(NoPickle) as error:
        read(content)
    assert str(error.value) == "weights.pkl: not a pickle, or a damaged one"


def array_with(**changes):
    """A pickle of float32 [2] with another state."""
    state = {"shape": (2,), "content": b"\0" * 8} | changes
    start = b"\x80\x03cnumpy._core.multiarray\n_reconstruct\n)R(K\x01"
    middle = b"cnumpy\ndtype\n\x8c\x02f4\x85R\x89"
    return start + pickle.dumps(state["shape"])[2:-1] + middle + pickle.dumps(state["content"])[2:-1] + b"tb."


@pytest.mark.parametrize(
    "changes",
    [{"content": b"\0" * 7}, {"shape": (2**62, 4)}, {"shape": (-1,)}, {"shape": [2]}, {"content": ["x", "y"]}],
)
def test_a_state_that_is_no_array_is_refused(changes):
    np.testing.assert_array_equal(read(array_with()).array(), [0, 0])
    stored = read(array_with(**changes))
    with pytest.raises(ValueError, match="array"):
        stored.array()
