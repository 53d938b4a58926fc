"""Mean and variance of attention's logits over all pairs, mostly without computing a logit.

The variance of the products a_x . b_y over all x and y follows from means and covariances of the a and of the b:
it is <C_a, C_b> + <C_a, b b^T> + <a a^T, C_b> about their means a and b. All parts are positive, so that nothing
cancels. It costs D * D a cell in place of D a pair.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from tfpanoptic.ops.chunks import chunked, map_and_sum
from tfpanoptic.ops.row_windows import Cut, blocks, seen, unblocked, unwindowed, windows


def logit_moments(queries, keys, query_embeddings, key_embeddings, cut: Cut) -> tuple[Any, Any]:
    """Mean and biased variance of each kind of logit in each head, over all rows and all pairs that see each other.

    Args:
        queries, keys: float32 [R, L, N, D].
        query_embeddings, key_embeddings: float32 [2 * reach + 1, D], of the distances -reach, .., reach of a key from
            its query; the reach is that of `cut`, or L - 1.
        cut: of the rows.

    Returns:
        float32 [3, N] twice; kinds are query by key, query by position, key by position.
    """
    distance = ops.arange(ops.shape(query_embeddings)[0], dtype="int32") - ops.shape(query_embeddings)[0] // 2
    cell = ops.expand_dims(ops.arange(cut.length, dtype="int32"), 1)

    def inside(other):
        return ops.cast((other >= 0) & (other < cut.length), "float32")  # [L, distances]

    content = _of_all_pairs(queries, keys) if cut.reach is None else _of_near_pairs(queries, keys, cut)
    parts = (
        content,
        _with_positions(queries, query_embeddings, inside(cell + distance)),
        _with_positions(keys, key_embeddings, inside(cell - distance)),
    )
    return ops.stack([mean for mean, _ in parts]), ops.stack([variance for _, variance in parts])


def _of_all_pairs(queries, keys) -> tuple[Any, Any]:
    """Moments of query by key over all pairs of a row, [N] each."""
    return _of_products(_spread(queries, 1), _spread(keys, 1), ops.ones((1, 1), "float32"))


def _with_positions(values, embeddings, inside) -> tuple[Any, Any]:
    """Moments of the products of every cell's value with the embeddings of the distances that lie inside its row.

    Args:
        values: [R, L, N, D].
        embeddings: [P, D].
        inside: float32 [L, P], 1 where a distance leads to a cell of the row.
    """
    width = embeddings.shape[-1]
    count = ops.sum(inside, axis=1, keepdims=True)
    common = ops.mean(embeddings, axis=0, keepdims=True)
    centered = embeddings - common
    outer = ops.reshape(ops.expand_dims(centered, 2) * ops.expand_dims(centered, 1), (-1, width * width))
    mean = ops.matmul(inside, centered) / count
    covariance = ops.reshape(ops.matmul(inside, outer) / count, (-1, width, width))
    covariance = covariance - ops.expand_dims(mean, 2) * ops.expand_dims(mean, 1)
    of_embeddings = ops.expand_dims(mean + common, 1), ops.expand_dims(covariance, 1)
    return _of_products(_spread(values, 0), of_embeddings, count)


def _spread(values, axis: int) -> tuple[Any, Any]:
    """Mean [G, N, D] and covariance [G, N, D, D] of [R, L, N, D] along rows (0) or along cells (1)."""
    mean = ops.mean(values, axis=axis, keepdims=True)
    x = values - mean
    # [G, N, cells, D]
    x = ops.transpose(x, (1, 2, 0, 3) if axis == 0 else (0, 2, 1, 3))
    count = ops.cast(ops.shape(x)[2], "float32")
    return ops.squeeze(mean, axis), ops.matmul(ops.transpose(x, (0, 1, 3, 2)), x) / count


def _of_products(left, right, count) -> tuple[Any, Any]:
    """Moments [N] of the products of two sets in each group, from their (mean, covariance).

    Args:
        left, right: as `_spread` gives them; one head in `right` stands for all.
        count: float32 [G or 1, 1], products of a group, by which groups count.
    """
    (mean_left, spread_left), (mean_right, spread_right) = left, right
    mean = ops.sum(mean_left * mean_right, axis=-1)  # [G, N]

    def outer(x):
        return ops.expand_dims(x, -1) * ops.expand_dims(x, -2)

    inside = ops.sum(spread_left * (spread_right + outer(mean_right)) + outer(mean_left) * spread_right, axis=(-2, -1))
    share = count * ops.ones_like(mean)
    share = share / ops.sum(share, axis=0, keepdims=True)
    whole = ops.sum(share * mean, axis=0)
    return whole, ops.sum(share * (inside + ops.square(mean - whole)), axis=0)


def _of_near_pairs(queries, keys, cut: Cut) -> tuple[Any, Any]:
    """Moments of query by key over the pairs that see each other, [N] each: here every logit is computed."""
    count, heads = ops.shape(queries)[0], queries.shape[2]
    visible = ops.expand_dims(ops.cast(seen(cut), "float32"), 1)  # [blocks, 1, block, window]
    # Moments about a number near the mean, whose squares cancel less.
    near = ops.stop_gradient(ops.sum(ops.mean(queries, axis=(0, 1)) * ops.mean(keys, axis=(0, 1)), axis=-1))
    # Rows that fill the last chunk count as nothing.
    given = [chunked(x, count, heads * cut.pairs) for x in (ops.ones((count, 1, 1, 1, 1), "float32"), queries, keys)]

    def logits(counts, query, key):
        made = ops.einsum("bind,bjnd->bnij", blocks(query, cut), windows(key, cut))
        made = ops.reshape(made, (-1, cut.blocks, *ops.shape(made)[1:]))
        return counts * visible * (made - ops.reshape(near, (-1, 1, 1)))

    @ops.custom_gradient
    def sums(*chunks):
        def of_chunk(*chunk):
            found = logits(*chunk)
            return [], [ops.sum(found, axis=(0, 1, 3, 4)), ops.sum(ops.square(found), axis=(0, 1, 3, 4))]

        def gradient(*upstreams):
            # JAX gives the gradients of two outputs as one tuple.
            upstreams = upstreams if len(upstreams) == 2 else upstreams[0]
            of_total, of_squares = (ops.reshape(x, (-1, 1, 1)) for x in upstreams)

            def of_chunk(counts, query, key):
                of_logits = counts * visible * of_total + 2.0 * of_squares * logits(counts, query, key)
                of_logits = ops.reshape(of_logits, (-1, heads, cut.block, cut.window))
                of_query = ops.einsum("bnij,bjnd->bind", of_logits, windows(key, cut))
                of_key = ops.einsum("bnij,bind->bjnd", of_logits, blocks(query, cut))
                return [unblocked(of_query, cut), unwindowed(of_key, cut)], []

            of_queries, of_keys = map_and_sum(of_chunk, chunks, (1, 2))[0]
            return ops.zeros_like(chunks[0]), of_queries, of_keys

        total, squares = map_and_sum(of_chunk, chunks, (), [ops.zeros((heads,), "float32")] * 2)[1]
        return (total, squares), gradient

    number = ops.cast(count, "float32") * ops.sum(visible)
    total, squares = (x / number for x in sums(*given))
    return total + near, squares - ops.square(total)
