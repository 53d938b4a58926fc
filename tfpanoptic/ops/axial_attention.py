"""Attention along one axis of a map, with learned positions: every cell sees its row, or a span of it.

A logit is q_l . k_m + q_l . r^q_(m-l) + k_m . r^k_(m-l), and what is retrieved is v_m + r^v_(m-l). Rows are worked on
in chunks whose logits stay in the cache, and the gradient computes the logits again, so that memory never holds those
of all pairs. With a span, queries are cut into blocks, and each block meets only the keys around it.

Source: Wang et al. 2020 (Axial-DeepLab), section 3.2, equation 4; DeepLab2 `model/layers/axial_layers.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.ops.chunks import chunked, joined, map_and_sum
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.row_windows import Cut, blocks, seen, unblocked, unwindowed, windows


def axial_attention(queries, keys, values, tables, cut: Cut) -> tuple[Any, Any]:
    """What every cell retrieves along its row: from the cells it sees, and from their positions.

    Args:
        queries: two float [R, L, N, D], of R rows, L cells and N heads: to meet keys, and to meet positions.
        keys: two float [R, L, N, D]: to meet queries, and to meet positions.
        values: float [R, L, N, E].
        tables: the embedding of every one of `distances`: of queries float [block, window, D], of keys
            [window, block, D], of values [block, window, E].
        cut: of the rows.

    Returns:
        float [R, L, N, E] twice: the weighted sums of values, and of the embeddings of their positions. Logits are
        summed and their softmax taken in float32.
    """
    count, pairs = ops.shape(values)[0], values.shape[2] * cut.pairs

    @ops.custom_gradient
    def attend(*arguments):
        rows, tables = arguments[:5], arguments[5:]
        chunks = [chunked(x, count, pairs) for x in rows]

        def of_chunk(*chunk):
            return [*_retrieved(chunk, tables, cut)], []

        content, position = (joined(x, count) for x in map_and_sum(of_chunk, chunks, (4, 4))[0])

        def gradient(*upstreams):
            # JAX gives the gradients of two outputs as one tuple.
            upstreams = upstreams if len(upstreams) == 2 else upstreams[0]
            given = [chunked(x, count, pairs) for x in (*upstreams, content, position)]

            def of_chunk(*chunk):
                return _gradients(chunk[:5], tables, chunk[5:7], chunk[7:], cut)

            start = [ops.zeros(ops.shape(table), "float32") for table in tables]
            of_rows, of_tables = map_and_sum(of_chunk, [*chunks, *given], range(5), start)
            of_tables = [ops.cast(x, table.dtype) for x, table in zip(of_tables, tables, strict=True)]
            return (*(joined(x, count) for x in of_rows), *of_tables)

        return (content, position), gradient

    return attend(*queries, *keys, values, *tables)


class _Chunk(NamedTuple):
    """The rows of a chunk as Z = R * blocks * N sequences of one head: [Z, block, D] queries, [Z, window, D] keys.

    Those that meet positions are [block, Z, D] and [window, Z, D], one product for every place.
    """

    query: Any
    query_of_position: Any
    key: Any
    key_of_position: Any
    values: Any


def _prepared(rows, cut: Cut) -> _Chunk:
    """The sequences of the rows of a chunk."""
    query, query_of_position, key, key_of_position, values = rows
    return _Chunk(
        _by_head(blocks(query, cut)),
        _by_place(blocks(query_of_position, cut)),
        _by_head(windows(key, cut)),
        _by_place(windows(key_of_position, cut)),
        _by_head(windows(values, cut)),
    )


def _by_head(x):
    """[B, T, N, D] -> [B * N, T, D]."""
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, ops.shape(x)[1], x.shape[-1]))


def _by_place(x):
    """[B, T, N, D] -> [T, B * N, D]."""
    return ops.reshape(ops.transpose(x, (1, 0, 2, 3)), (ops.shape(x)[1], -1, x.shape[-1]))


def _of_head(x, heads: int):
    """[B * N, T, D] -> [B, T, N, D]."""
    return ops.transpose(ops.reshape(x, (-1, heads, ops.shape(x)[1], x.shape[-1])), (0, 2, 1, 3))


def _of_place(x, heads: int):
    """[T, B * N, D] -> [B, T, N, D]."""
    return ops.transpose(ops.reshape(x, (ops.shape(x)[0], -1, heads, x.shape[-1])), (1, 0, 2, 3))


def _retrieved(rows, tables, cut: Cut):
    """Sums of values and of position embeddings, for the rows of a chunk."""
    heads = rows[4].shape[2]
    chunk = _prepared(rows, cut)
    weights = _weights(chunk, tables, cut, heads)
    content = ops.einsum("zij,zjd->zid", weights, chunk.values)
    position = ops.einsum("izj,ijd->izd", ops.transpose(weights, (1, 0, 2)), tables[2])
    return unblocked(_of_head(content, heads), cut), unblocked(_of_place(position, heads), cut)


def _weights(chunk: _Chunk, tables, cut: Cut, heads: int):
    """Share of each key of the window in what a query retrieves, [Z, block, window]."""
    of_query = ops.cast(ops.einsum("izd,ijd->izj", chunk.query_of_position, tables[0]), "float32")
    of_key = ops.cast(ops.einsum("jzd,jid->jzi", chunk.key_of_position, tables[1]), "float32")
    logits = ops.cast(ops.einsum("zid,zjd->zij", chunk.query, chunk.key), "float32")
    logits = logits + ops.transpose(of_query, (1, 0, 2)) + ops.transpose(of_key, (1, 2, 0))
    visible = seen(cut)
    if visible is not None:
        hidden = ops.expand_dims(ops.where(visible, 0.0, LOWEST), 1)  # [blocks, 1, block, window]
        shape = ops.shape(logits)
        logits = ops.reshape(ops.reshape(logits, (-1, cut.blocks, heads, *shape[1:])) + hidden, shape)
    return ops.cast(ops.softmax(logits, axis=-1), chunk.values.dtype)


def _gradients(rows, tables, upstreams, retrieved, cut: Cut):
    """Gradients in the rows of a chunk, and in the tables."""
    heads = rows[4].shape[2]
    chunk = _prepared(rows, cut)
    weights = _weights(chunk, tables, cut, heads)
    of_content, of_position = _by_head(blocks(upstreams[0], cut)), _by_place(blocks(upstreams[1], cut))
    of_weights = ops.einsum("zid,zjd->zij", of_content, chunk.values)
    of_weights = of_weights + ops.transpose(ops.einsum("izd,ijd->izj", of_position, tables[2]), (1, 0, 2))
    # The mean of these by the weights, from what was retrieved.
    mean = sum(ops.cast(g * y, "float32") for g, y in zip(upstreams, retrieved, strict=True))
    mean = _by_head(blocks(ops.sum(mean, axis=-1, keepdims=True), cut))  # [Z, block, 1]
    of_logits = ops.cast(weights, "float32") * (ops.cast(of_weights, "float32") - mean)
    of_logits = ops.cast(of_logits, weights.dtype)
    by_query, by_key = ops.transpose(of_logits, (1, 0, 2)), ops.transpose(of_logits, (2, 0, 1))
    of_rows = [
        unblocked(_of_head(ops.einsum("zij,zjd->zid", of_logits, chunk.key), heads), cut),
        unblocked(_of_place(ops.einsum("izj,ijd->izd", by_query, tables[0]), heads), cut),
        unwindowed(_of_head(ops.einsum("zij,zid->zjd", of_logits, chunk.query), heads), cut),
        unwindowed(_of_place(ops.einsum("jzi,jid->jzd", by_key, tables[1]), heads), cut),
        unwindowed(_of_head(ops.einsum("zij,zid->zjd", weights, of_content), heads), cut),
    ]
    of_tables = [
        ops.einsum("izj,izd->ijd", by_query, chunk.query_of_position),
        ops.einsum("jzi,jzd->jid", by_key, chunk.key_of_position),
        ops.einsum("izj,izd->ijd", ops.transpose(weights, (1, 0, 2)), of_position),
    ]
    return of_rows, [ops.cast(x, "float32") for x in of_tables]
