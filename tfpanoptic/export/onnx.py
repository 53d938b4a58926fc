"""ONNX: one file with post-processing inside, for onnxruntime, OpenVINO and others, and for `lite.Segmenter`.

Its inputs and outputs are those of `device_graph`; its metadata are properties, as `lite/metadata.py` says.

The way goes through the LiteRT model, which tf2onnx reads. From TensorFlow's own graph it loses the shapes in loops
with conditions, as the search of the nearest centre has them, and fails on the second model of a process.
"""

from __future__ import annotations

import importlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.atomic import replace_file
from tfpanoptic.errors import InputError, WorkFailed, first_line
from tfpanoptic.export.format import Format, require_new_file
from tfpanoptic.export.litert import float32_model, quiet
from tfpanoptic.lite import Segmenter
from tfpanoptic.lite.metadata import Metadata
from tfpanoptic.lite.runtimes import IMAGE, OUTPUTS, VALID_SIZE, OnnxRuntime
from tfpanoptic.lite.sizes import prepare
from tfpanoptic.result import PanopticResult

# Of the operators. Own choice: the newest that tf2onnx knows well; onnxruntime has it since 1.12.
OPSET = 17
# The least PQ of the file's segments against the model's, on one photo. Own choice: sums in another order move a pixel
# or a segment at a threshold, an operator that does something else moves all of them.
AGREEMENT = 0.9


def export_onnx(segmenter, out: str | Path, overwrite: bool = False, size: tuple[int, int] | None = None) -> None:
    """Writes the file, once onnxruntime has found the segments of the model in a photo with it.

    Args:
        segmenter: the model.
        out: the file, which ends in .onnx.
        overwrite: replace an older one.
        size: (h, w) of the input, on the model's grid; None: any size.

    Raises:
        InputError: the file exists, an option that is not possible, or packages are missing; or Keras runs on another
            backend.
        WorkFailed: the model does not convert.
    """
    from tfpanoptic.ops.tensorflow_only import require_tensorflow

    require_tensorflow("export")
    from tfpanoptic.export.device_graph import device_graph, device_metadata

    out = Path(out)
    require_new_file(out, ".onnx", overwrite)
    _require_packages()
    metadata = device_metadata(segmenter, size, "none")
    graph = device_graph(segmenter, size)
    try:
        model = _converted(float32_model(graph))
        for name, text in metadata.files().items():
            model.metadata_props.add(key=name, value=text)
        content = model.SerializeToString()
        agreement = _agreement(content, graph, metadata)
    except Exception as error:  # those of tf2onnx, onnx and onnxruntime have no class in common
        advice = "; one of a fixed size may: give a size" if size is None else ""
        raise WorkFailed(
            f"{out}: this {metadata.architecture} does not convert to ONNX{advice} ({first_line(error)})"
        ) from error
    if agreement < AGREEMENT:
        found = f"its segments of a photo have a PQ of {agreement:.3f} against the model's"
        raise WorkFailed(f"{out}: not written, {found}; expected at least {AGREEMENT}")
    replace_file(out, content)


def _require_packages() -> None:
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise InputError(f"ONNX needs {package}: pip install tfpanoptic[onnx]") from None


def _converted(litert: bytes) -> Any:
    """The ONNX model of a LiteRT model, with the signature's names, checked."""
    import onnx
    import tf2onnx

    signature = _signature(litert)
    with tempfile.TemporaryDirectory() as folder, _quiet_converter():
        path = Path(folder) / "model.tflite"
        path.write_bytes(litert)
        model, _ = tf2onnx.convert.from_tflite(
            str(path),
            input_names=[signature[name] for name in (IMAGE, VALID_SIZE)],
            output_names=list(dict.fromkeys(signature[name] for name in OUTPUTS)),
            opset=OPSET,
            custom_op_handlers={
                "OneHot": (_one_hot, []),
                "UnsortedSegmentSum": (_segment_sum, []),
                "TFL_GELU": (_gelu, []),
            },
        )
    _forget_shapes(model.graph)
    _name(model.graph, signature)
    onnx.checker.check_model(model)
    return model


def _signature(litert: bytes) -> dict[str, str]:
    """Name in the signature -> name of the tensor."""
    from tf2onnx.tflite.Model import Model

    model = Model.GetRootAsModel(bytearray(litert), 0)
    signature = model.SignatureDefs(0)
    graph = model.Subgraphs(signature.SubgraphIndex())
    named = [signature.Inputs(i) for i in range(signature.InputsLength())]
    named += [signature.Outputs(i) for i in range(signature.OutputsLength())]
    return {each.Name().decode(): graph.Tensors(each.TensorIndex()).Name().decode() for each in named}


def _one_hot(context: Any, node: Any, name: str, _: Any) -> None:
    """Replaces the operator in which LiteRT keeps `index == 0..N-1`: ONNX runtimes have it for numbers, not for bool.

    Args:
        context: tf2onnx' graph.
        node: with the inputs index, N, True, False.
        name: of the node.
    """
    from tf2onnx.graph_builder import GraphBuilder
    from tf2onnx.utils import make_name

    _, depth, on, off = node.inputs
    meaning = on.get_tensor_value(), off.get_tensor_value(), node.get_attr_value("axis", -1)
    if meaning not in ((True, False, -1), (True, False, context.get_rank(node.input[0]))):
        raise ValueError(f"OneHot of (on, off, axis) {meaning}")
    places = np.arange(depth.get_tensor_value(), dtype=np.int32)
    inputs = [
        GraphBuilder(context).make_unsqueeze({"data": node.input[0], "axes": [-1]}),
        context.make_const(make_name(name), places).output[0],
    ]
    outputs, shapes, dtypes = node.output, node.output_shapes, node.output_dtypes
    context.remove_node(name)
    context.make_node("Equal", inputs, name=name, outputs=outputs, shapes=shapes, dtypes=dtypes)


def _segment_sum(context: Any, node: Any, name: str, _: Any) -> None:
    """Adds values at their places; tf2onnx makes a table of all segments, each as wide as the largest.

    Args:
        context: tf2onnx' graph.
        node: with the inputs values `[K]`, index `[K]`, number of segments.
        name: of the node.
    """
    from onnx import TensorProto, helper
    from tf2onnx.graph_builder import GraphBuilder

    values, index, count = node.input
    if context.get_rank(values) != 1:
        raise ValueError(f"UnsortedSegmentSum of rank {context.get_rank(values)}")
    build, dtype = GraphBuilder(context), context.get_dtype(values)
    size = context.make_node(
        "Cast", [build.make_unsqueeze({"data": count, "axes": [0]})], attr={"to": TensorProto.INT64}
    )
    places = context.make_node(
        "Cast", [build.make_unsqueeze({"data": index, "axes": [1]})], attr={"to": TensorProto.INT64}
    )
    zeros = context.make_node(
        "ConstantOfShape", size.output, attr={"value": helper.make_tensor("zero", dtype, [1], [0])}
    )
    inputs = [zeros.output[0], places.output[0], values]
    outputs, shapes, dtypes = node.output, node.output_shapes, node.output_dtypes
    context.remove_node(name)
    attributes = {"reduction": "add"}
    context.make_node("ScatterND", inputs, attributes, name=name, outputs=outputs, shapes=shapes, dtypes=dtypes)


def _gelu(context: Any, node: Any, name: str, _: Any) -> None:
    """Computes x (1 + erf(x / sqrt 2)) / 2, which tf2onnx does not know; ONNX has it as an operator from set 20 on.

    Args:
        context: tf2onnx' graph.
        node: with the input x.
        name: of the node.
    """
    from tf2onnx.utils import make_name

    if node.get_attr_value("approximate", False):
        raise ValueError("the approximation of GELU by tanh")
    x, dtype = node.input[0], np.float32
    root, one, half = (
        context.make_const(make_name(name), np.array(value, dtype)).output[0] for value in (0.5**0.5, 1.0, 0.5)
    )
    error = context.make_node("Erf", context.make_node("Mul", [x, root]).output)
    double = context.make_node("Mul", [x, context.make_node("Add", [error.output[0], one]).output[0]])
    outputs, shapes, dtypes = node.output, node.output_shapes, node.output_dtypes
    context.remove_node(name)
    context.make_node("Mul", [double.output[0], half], name=name, outputs=outputs, shapes=shapes, dtypes=dtypes)


def _forget_shapes(graph: Any) -> None:
    """Removes what tf2onnx says of shapes in loops: what LiteRT does not know it takes for numbers without axes."""
    from onnx import AttributeProto

    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type != AttributeProto.GRAPH:
                continue
            inner = attribute.g
            # A loop's count and condition have none.
            for value in (*inner.input[2:], *inner.output[1 if node.op_type == "Loop" else 0 :]):
                value.type.tensor_type.ClearField("shape")
            _forget_shapes(inner)


def _name(graph: Any, signature: dict[str, str]) -> None:
    """Gives inputs and outputs the signature's names: a tensor may be constant, or two outputs."""
    from onnx import helper

    outputs = {value.name: value.type for value in graph.output}
    of_inputs = [helper.make_node("Identity", [name], [signature[name]]) for name in (IMAGE, VALID_SIZE)]
    of_outputs = [helper.make_node("Identity", [signature[name]], [name]) for name in OUTPUTS]
    nodes = [*of_inputs, *graph.node, *of_outputs]
    for value, name in zip(graph.input, (IMAGE, VALID_SIZE), strict=True):
        value.name = name
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.output.extend(helper.make_value_info(name, outputs[signature[name]]) for name in OUTPUTS)


@contextmanager
def _quiet_converter() -> Iterator[None]:
    """Without what tf2onnx logs of shapes and tries."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _agreement(content: bytes, graph: Any, metadata: Metadata) -> float:
    """PQ of the file's segments against those of TensorFlow, on one of the bundled photos; 1 where both have none."""
    from tfpanoptic.data.dataset import read_record_image
    from tfpanoptic.data.sets.nuclei import nuclei
    from tfpanoptic.evaluation.measures.panoptic_quality import count, summarize
    from tfpanoptic.segment_map import from_tables

    photo = read_record_image(nuclei("val").records[0], metadata.input.deep_grey)
    image, part = prepare(photo, metadata.input, metadata.grid, metadata.size)
    inputs = image, np.array([part], np.int32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        ours = OnnxRuntime(path, None).run(*inputs)
    made = graph.serve(*inputs)
    theirs = [made[name].numpy() for name in OUTPUTS]
    truth, found = (from_tables(ids[0], labels[0], scores[0]) for ids, labels, scores in (theirs, ours))
    pq = summarize(count(truth, found, len(metadata.categories)), metadata.categories)["all"]["pq"]
    return 1.0 if pq is None else pq


def open_onnx(path: str | Path, threads: int | None = None) -> Callable[[np.ndarray], PanopticResult]:
    """The file as a function of one image, in onnxruntime."""
    return Segmenter(path, threads).segment


FORMAT = Format(export_onnx, open_onnx, suffix=".onnx", options=("size",))
