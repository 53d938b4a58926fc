"""Work on one chunk of some arrays after the other, so that memory holds what one of them needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from tfpanoptic.ops.device_operators import is_for_devices

# Numbers of the largest intermediate result of a chunk: 4 MB, which stay in the cache. Own choice: of 2**17 to 2**20
# the least processor time of axial attention with its gradient on two cores. Not measured on a GPU.
TOGETHER = 2**20


def chunked(x, count, numbers):
    """[R, ...] as [chunks, rows of a chunk, ...], ending with rows of 0; on a device one chunk of a size not known.

    Args:
        x: of any dtype.
        count: R, the same object for all arrays of one loop: a size that is known may be lost in one of them.
        numbers: of the largest intermediate result of a row.
    """
    if is_for_devices() and not isinstance(count, int):
        # LiteRT stacks only what has a fixed shape.
        return ops.expand_dims(x, 0)
    if isinstance(count, int) and isinstance(numbers, int):
        together = max(1, min(TOGETHER // numbers, count))
    else:
        together = ops.maximum(ops.minimum(TOGETHER // numbers, count), 1)
    chunks = (count + together - 1) // together
    x = ops.pad(x, ((0, chunks * together - count), *((0, 0),) * (len(x.shape) - 1)))
    return ops.reshape(x, (chunks, together, *ops.shape(x)[1:]))


def joined(x, count):
    """The first `count` rows of [chunks, rows of a chunk, ...], as [count, ...]."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))[:count]


def map_chunks(function: Callable, arrays) -> Any:
    """What a function makes of every chunk, stacked: `keras.ops.map`, but for devices.

    There the loop is unrolled where its length is known: LiteRT copies the whole stack for each chunk that it adds, and
    keeps the zeros that the stack begins with in the file.

    Args:
        function: of a chunk of `arrays`.
        arrays: chunk after chunk, [chunks, ...]; or a tuple of such.
    """
    chunks = keras.tree.flatten(arrays)[0].shape[0]
    if not is_for_devices() or chunks is None:
        return ops.map(function, arrays)

    def of_chunk(number: int):
        return function(keras.tree.map_structure(lambda array: array[number], arrays))

    outputs = [of_chunk(number) for number in range(chunks)]
    return keras.tree.map_structure(lambda *parts: ops.stack(parts), *outputs)


def map_and_sum(function: Callable, arrays: Sequence, like: Sequence[int], totals: Sequence = ()) -> tuple[list, list]:
    """What a function makes of every chunk, stacked, and what it finds in all of them, added up.

    `keras.ops.map` sums nothing, and `keras.ops.scan` stacks on TensorFlow only what has its state's shape. No
    gradient flows through.

    Args:
        function: a chunk of each array -> (list of outputs, list of addends).
        arrays: chunk after chunk, [chunks, ...] each.
        like: for each output the place in `arrays` of one whose chunks have its shape and dtype.
        totals: what the sums start from, one for each addend.

    Returns:
        The outputs, [chunks, ...] each, and the sums.
    """
    if arrays[0].shape[0] == 1:
        outputs, added = function(*(array[0] for array in arrays))
        sums = [total + more for total, more in zip(totals, added, strict=True)]
        return [ops.expand_dims(output, 0) for output in outputs], sums
    if keras.backend.backend() == "jax":
        return _on_jax(function, arrays, totals)
    return _on_tensorflow(function, arrays, like, totals)


def _on_jax(function: Callable, arrays: Sequence, totals: Sequence) -> tuple[list, list]:
    import jax

    def step(totals, chunk):
        outputs, added = function(*chunk)
        return [total + more for total, more in zip(totals, added, strict=True)], outputs

    sums, stacked = jax.lax.scan(step, list(totals), tuple(arrays))
    return stacked, sums


def _on_tensorflow(function: Callable, arrays: Sequence, like: Sequence[int], totals: Sequence) -> tuple[list, list]:
    import tensorflow as tf

    count = tf.shape(arrays[0])[0]
    written = [tf.TensorArray(arrays[i].dtype, count, element_shape=arrays[i].shape[1:]) for i in like]

    def step(index, written: Any, totals: Any):
        outputs, added = function(*(array[index] for array in arrays))
        written = [array.write(index, output) for array, output in zip(written, outputs, strict=True)]
        return index + 1, written, [total + more for total, more in zip(totals, added, strict=True)]

    start = (tf.constant(0), written, list(totals))
    _, written, sums = tf.while_loop(lambda index, *_: index < count, step, start, parallel_iterations=1)
    return [array.stack() for array in written], sums
