"""Connected parts of a map of labels.

Source: own code, runs of equal labels along the rows joined to those that they touch in the next row.
"""

from __future__ import annotations

import numpy as np


def connected_components(labels: np.ndarray) -> np.ndarray:
    """Numbers from 0 of the parts of a map in which pixels of one label touch, at a side or a corner; int64 `[H, W]`.

    Parts are numbered in the order of their first pixels.

    Args:
        labels: integers `[H, W]`.
    """
    if labels.size == 0:
        return np.zeros(labels.shape, np.int64)
    starts = np.ones(labels.shape, bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=starts[:, 1:])
    run = np.cumsum(starts).reshape(labels.shape) - 1
    first, second = _touching(run, labels)
    root = np.arange(run[-1, -1] + 1)
    while True:
        lower = np.minimum(root[first], root[second])
        joined = root.copy()
        np.minimum.at(joined, root[first], lower)
        np.minimum.at(joined, root[second], lower)
        joined = joined[joined]
        if np.array_equal(joined, root):
            return np.unique(root, return_inverse=True)[1].reshape(-1)[run]
        root = joined


def _touching(run: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs of one label in neighbouring rows that touch, int64 `[E]` each."""
    width = run.shape[1]
    pairs = []
    for step in (-1, 0, 1):
        above = np.s_[:-1, max(0, -step) : width - max(0, step)]
        below = np.s_[1:, max(0, step) : width - max(0, -step)]
        same = labels[above] == labels[below]
        pairs.append(np.stack([run[above][same], run[below][same]], axis=1))
    edges = np.unique(np.concatenate(pairs), axis=0)
    return edges[:, 0], edges[:, 1]
