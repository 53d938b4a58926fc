"""Axial attention by its definition, all pairs at once in NumPy float64."""

import numpy as np


def distances(length):
    """Place of a key less that of a query, [L, L]."""
    return np.arange(length)[None] - np.arange(length)[:, None]


def seen(length, span=None):
    """Whether a query sees a key, bool [L, L]."""
    return np.abs(distances(length)) <= (length if span is None else span // 2)


def slow_logits(query, key, query_embedding, key_embedding):
    """The three kinds [3, R, N, L, L] of [R, L, N, D] and of embeddings [T, D] of the distances about 0, clipped."""
    query, key, query_embedding, key_embedding = (
        np.asarray(x, "float64") for x in (query, key, query_embedding, key_embedding)
    )
    index = np.clip(distances(query.shape[1]) + len(query_embedding) // 2, 0, len(query_embedding) - 1)
    return np.stack(
        [
            np.einsum("rlnd,rmnd->rnlm", query, key),
            np.einsum("rlnd,lmd->rnlm", query, query_embedding[index]),
            np.einsum("rmnd,lmd->rnlm", key, key_embedding[index]),
        ]
    )


def slow_retrieved(logits, values, value_embedding, span=None):
    """Sums of values [R, L, N, E] and of embeddings of positions, of the sum of logits [3, R, N, L, L]."""
    length, value_embedding = values.shape[1], np.asarray(value_embedding, "float64")
    summed = np.where(seen(length, span), logits.sum(0), -np.inf)
    weights = np.exp(summed - summed.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    index = np.clip(distances(length) + len(value_embedding) // 2, 0, len(value_embedding) - 1)
    return np.stack(
        [
            np.einsum("rnlm,rmne->rlne", weights, np.asarray(values, "float64")),
            np.einsum("rnlm,lme->rlne", weights, value_embedding[index]),
        ]
    )
