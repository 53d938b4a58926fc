"""Exported models in their runtimes: one class a kind of file, all with `metadata` and `run`.

What goes in and comes out is said in `export/device_graph.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tfpanoptic.errors import InputError, WorkFailed, first_line
from tfpanoptic.lite.metadata import Metadata, metadata_of_properties, read_metadata

# Names of inputs and outputs.
IMAGE, VALID_SIZE = "image", "valid_size"
OUTPUTS = ("segment_ids", "labels", "scores")


class Runtime(Protocol):
    """What `Segmenter` needs of a model.

    Attributes:
        metadata: the file's.
    """

    metadata: Metadata

    def run(self, image: np.ndarray, valid_size: np.ndarray) -> tuple[np.ndarray, ...]:
        """`segment_ids` int32 `[1, h, w]`, `labels` int32 `[1, N]` and `scores` float32 `[1, N]`.

        Args:
            image: float32 `[1, h, w, 3]`.
            valid_size: int32 `[1, 2]`.
        """


class LiteRT:
    """A `.tflite` in the interpreter of ai-edge-litert.

    Args:
        path: the file.
        threads: of the interpreter; None leaves their number to it.

    Raises:
        InputError: it cannot be used, or the runtime is not installed.
    """

    def __init__(self, path: Path, threads: int | None):
        self.metadata = read_metadata(path)
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise _without("ai-edge-litert", "tfpanoptic[lite]", error) from None
        self._path = path
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            signature = self._interpreter.get_signature_runner()
            details = {**signature.get_input_details(), **signature.get_output_details()}
            self._index = {name: details[name]["index"] for name in (IMAGE, VALID_SIZE, *OUTPUTS)}
        except (ValueError, RuntimeError, KeyError) as error:
            raise _refused(path, error) from None
        self._size: tuple[int, ...] | None = None

    def run(self, image: np.ndarray, valid_size: np.ndarray) -> tuple[np.ndarray, ...]:
        """As in `Runtime`."""
        interpreter, index = self._interpreter, self._index
        try:
            if image.shape != self._size:
                # Tensors are allocated once a size.
                self._size = None
                if self.metadata.size is None:
                    interpreter.resize_tensor_input(index[IMAGE], image.shape)
                interpreter.allocate_tensors()
                self._size = image.shape
            interpreter.set_tensor(index[IMAGE], image)
            interpreter.set_tensor(index[VALID_SIZE], valid_size)
            interpreter.invoke()
            return tuple(interpreter.get_tensor(index[name]) for name in OUTPUTS)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise _failed(self._path, image, error) from None


class OnnxRuntime:
    """An `.onnx` in onnxruntime, on the CPU.

    Args:
        path: the file.
        threads: of the session; None leaves their number to it.

    Raises:
        InputError: it cannot be used, or the runtime is not installed.
    """

    def __init__(self, path: Path, threads: int | None):
        if not path.is_file():
            raise InputError(f"{path}: no such file; expected a model that tfpanoptic exported")
        try:
            import onnxruntime
        except ImportError as error:
            raise _without("onnxruntime", "onnxruntime", error) from None
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        self._path = path
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no class of their own in common
            raise _refused(path, error) from None
        self.metadata = metadata_of_properties(path, self._session.get_modelmeta().custom_metadata_map)
        names = {node.name for node in (*self._session.get_inputs(), *self._session.get_outputs())}
        lacking = [name for name in (IMAGE, VALID_SIZE, *OUTPUTS) if name not in names]
        if lacking:
            raise _refused(path, KeyError(lacking[0]))

    def run(self, image: np.ndarray, valid_size: np.ndarray) -> tuple[np.ndarray, ...]:
        """As in `Runtime`."""
        try:
            return tuple(self._session.run(list(OUTPUTS), {IMAGE: image, VALID_SIZE: valid_size}))
        except Exception as error:
            raise _failed(self._path, image, error) from None


# Ending of a file -> what runs it.
RUNTIMES: dict[str, type[LiteRT] | type[OnnxRuntime]] = {".tflite": LiteRT, ".onnx": OnnxRuntime}


def _without(package: str, wanted: str, error: ImportError) -> InputError:
    """A runtime that is not installed, or is and does not load."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == package.replace("-", "_"):
        return InputError(f"lite needs {package}: pip install {wanted}")
    return InputError(f"lite needs {package}, which does not load ({first_line(error)})")


def _refused(path: Path, error: Exception) -> InputError:
    """A file that a runtime does not take."""
    reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else first_line(error)
    return InputError(f"{path}: not a model that can be run ({reason}); expected one that tfpanoptic exported")


def _failed(path: Path, image: np.ndarray, error: BaseException) -> WorkFailed:
    height, width = image.shape[1:3]
    return WorkFailed(f"{path}: failed on an input of {height} x {width} ({first_line(error)})")
