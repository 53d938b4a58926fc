"""Functions over pixels for tf.data that XLA compiles for the processor: a chain of operators becomes one loop.

TensorFlow runs operators one by one, each with its pass over memory, and its `gather` takes about 8 ns for an element
(two cores, 2.21). XLA compiles once for each shape of the arguments, so callers pad what has any size to a few sizes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# 2**k and 3 * 2**k: at most half as much again as what is needed, and few enough to compile for each.
SIZES = np.sort([f << k for f in (2, 3) for k in range(3, 28)]).astype(np.int32)
# Lengths of padded tables: of most images, of crowded ones, and of as many segments as a map can hold.
TABLES = np.array([1 << 5, 1 << 8, 1 << 12, 1 << 17, 1 << 25], np.int32)
# To compile takes 0.1 to 0.3 s a shape, which few small images never win back. Own choice: below 181 x 181.
FEWEST = 1 << 15
# Stands behind all labels of a table; no label is larger.
LAST = np.iinfo(np.int32).max


def compiled(function: Callable) -> Callable:
    """The function of tensors, compiled when it is first called; TensorFlow is imported then, too.

    Its argument `pixels` says how many there are, as far as that is known: below `FEWEST` TensorFlow runs the function.
    """

    @functools.cache
    def made() -> Callable:
        import tensorflow as tf

        return tf.function(function, jit_compile=xla_is_there(), autograph=False)

    @functools.wraps(function)
    def call(*arguments: Any, pixels: int | None = None) -> Any:
        return function(*arguments) if pixels is not None and pixels < FEWEST else made()(*arguments)

    return call


@functools.cache
def xla_is_there() -> bool:
    """Whether TensorFlow was built with XLA for the processor; without it, operators run one by one."""
    import tensorflow as tf

    with tf.init_scope(), tf.device("CPU:0"):
        try:
            tf.function(lambda: tf.constant(1) + 1, jit_compile=True)()
        except tf.errors.OpError:
            return False
    return True


def roomy(length: Any) -> Any:
    """The smallest of `SIZES` that is not below a length, int32 []."""
    import tensorflow as tf

    return tf.gather(SIZES, tf.searchsorted(SIZES, [length])[0])


def with_tables(function: Callable, tables: Sequence[Any], last: Sequence[Any]) -> Any:
    """What a function returns for tables of N rows, padded to one of `TABLES` that is above N.

    Args:
        function: of the padded tables, of static shapes; compiled, as a rule.
        tables: `[N, ...]` each.
        last: what each is padded with.

    Source: TensorFlow compiles the branch that is taken, when it is taken.
    """
    import tensorflow as tf

    rows = tf.shape(tables[0])[0]

    def branch(length: int) -> Callable:
        def call() -> Any:
            padded = []
            for table, value in zip(tables, last, strict=True):
                paddings = [[0, length - rows]] + [[0, 0]] * (len(table.shape) - 1)
                table = tf.pad(table, paddings, constant_values=tf.cast(value, table.dtype))
                padded.append(tf.ensure_shape(table, (length, *table.shape[1:])))
            return function(*padded)

        return call

    return tf.switch_case(tf.searchsorted(TABLES, [rows + 1])[0], [branch(int(length)) for length in TABLES])


def row_of(labels: Any, table: Any) -> Any:
    """The row of the last entry of a table that is not above each label, int32 in the shape of the labels.

    For use inside a compiled function: there one step is one gather.

    Args:
        labels: int32, none below the first entry.
        table: int32, ascending, of static length, a power of two, behind its entries padded with `LAST`.
    """
    import tensorflow as tf

    row, step = tf.zeros_like(labels), int(table.shape[0]) // 2
    while step:
        row = tf.where(tf.gather(table, row + step) <= labels, row + step, row)
        step //= 2
    return row
