"""Multiply-adds of one run of a network, counted operation by operation as TensorFlow carries them out."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable

# TensorFlow tells its own debugger of every operation; there is no public way to listen that gives shapes.
from tensorflow.python.framework import op_callbacks

# How TensorFlow names what it calls in place of an operation: a traced function.
TRACED = "__"
# What follows a convolution of the pieces of a map, and cuts off what was added.
JOINED = "BatchToSpaceND"


def count_multiply_adds(function: Callable[[], object]) -> dict[str, int]:
    """Multiply-adds of convolutions, matrix products and sums over products in a call, by the name of the operation.

    It runs eagerly, so loops are counted as often as they are walked through. What works element by element counts
    nothing, as in published numbers: normalisation, activations, softmax, sums of two maps, resizing by samples. Nor
    does what TensorFlow adds to a dilated convolution, which it cuts into pieces of equal size and pads for that.

    Raises:
        RuntimeError: a traced function (`tf.function`) is in it, which runs operations that nobody tells of.
    """
    counts: collections.Counter[str] = collections.Counter()
    latest: dict = {"output": None}

    def listen(kind, inputs, attributes, outputs, op_name=None, graph=None):
        kind = _text(kind)
        if graph is not None or kind.startswith(TRACED):
            raise RuntimeError(f"{kind if graph is None else graph.name} is traced and hides its operations")
        if kind == JOINED and inputs[0] is latest["output"]:
            whole, kept = math.prod(inputs[0].shape), math.prod(outputs[0].shape)
            counts[latest["kind"]] -= latest["count"] * (whole - kept) // whole
        if kind in _COUNTED:
            settings = {_text(name): value for name, value in zip(attributes[::2], attributes[1::2])}
            shapes = [tuple(tensor.shape) for tensor in inputs]
            count = _COUNTED[kind](shapes, tuple(outputs[0].shape), settings)
            counts[kind] += count
            latest.update(kind=kind, count=count, output=outputs[0])

    op_callbacks.add_op_callback(listen)
    try:
        function()
    finally:
        op_callbacks.remove_op_callback(listen)
    return dict(counts)


def _text(name) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _convolution(shapes, output, settings) -> int:
    """Kernel [kh, kw, inputs of a group, outputs]: one product for each of its places behind each output."""
    return math.prod(output) * math.prod(shapes[1][:3])


def _depthwise(shapes, output, settings) -> int:
    """Kernel [kh, kw, C, multiplier]."""
    return math.prod(output) * math.prod(shapes[1][:2])


def _transposed_convolution(shapes, output, settings) -> int:
    """Inputs are the output's size, the kernel [kh, kw, outputs, inputs], and the map, all of whose values spread."""
    return math.prod(shapes[2]) * math.prod(shapes[1][:3])


def _matrix_product(shapes, output, settings) -> int:
    turned = settings.get("transpose_a") or settings.get("adj_x")
    return math.prod(output) * shapes[0][-2 if turned else -1]


def _einsum(shapes, output, settings) -> int:
    """As many as the letters have places together; of one operand none."""
    if len(shapes) < 2:
        return 0
    terms = _text(settings["equation"]).split("->")[0].split(",")
    return math.prod({letter: side for term, shape in zip(terms, shapes) for letter, side in zip(term, shape)}.values())


_COUNTED = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed_convolution,
    "MatMul": _matrix_product,
    "BatchMatMul": _matrix_product,
    "BatchMatMulV2": _matrix_product,
    "BatchMatMulV3": _matrix_product,
    "Einsum": _einsum,
}
