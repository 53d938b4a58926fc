"""Adding rows into a table, on every backend."""

from __future__ import annotations

import keras


def add_rows(table, index, rows):
    """`table` with each row added at its place; rows of one place add up.

    `keras.ops` can only make a new table, which costs as much as the whole table is large.

    Args:
        table: `[M, C]`.
        index: int32 `[K]`, 0..M - 1.
        rows: `[K, C]`.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.tensor_scatter_nd_add(table, tf.expand_dims(index, 1), rows)
    if backend == "jax":
        return table.at[index].add(rows)
    return table.index_add(0, index.long(), rows)
