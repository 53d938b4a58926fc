"""Pairs of targets and queries of the least total cost, exactly, in a graph: many problems at once.

A target that nobody has taken in finds the cheapest way to a free query, on which targets before it may move to other
queries. Every query has a price, what it costs others that it is taken, so that one walk over the queries, from the
nearest on, finds that way. Each problem goes its own way in one common loop, a step of each at a time.

Source: Jonker and Volgenant 1987; with fewer targets than queries Crouse 2016, section III, as in SciPy's
`linear_sum_assignment`. Own choice: what is wanted by one target alone is given away before the loop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from tfpanoptic.compiled import compiled
from tfpanoptic.ops.argmax import argmax
from tfpanoptic.ops.gather import gather

# Costs beyond it count as this much: sums of them stay finite.
LARGEST = 1e30
NONE = -1


class _State(NamedTuple):
    """Where N problems of M targets and C queries stand.

    A problem is either searching, or moving targets along the way that it found.

    Attributes:
        price: float32 `[N, C]`, 0 or below, 0 for free queries.
        target_of: int32 `[N, C]`, of each query; -1 for free ones.
        query_of: int32 `[N, M]`, of each target; -1 without one.
        number: int32 `[N]`, how many of the waiting targets are done.
        moving: bool `[N]`.
        distance: float32 `[N, C]`, the shortest way to each query that is known.
        before: int32 `[N, C]`, the target from which that way leads to the query.
        visited: bool `[N, C]`, queries to which the shortest way is known.
        target: int32 `[N]`, from which the search goes on.
        offset: float32 `[N]`, the distance of that target, less what it pays.
        query: int32 `[N]`, the next one to be given away while moving.
    """

    price: Any
    target_of: Any
    query_of: Any
    number: Any
    moving: Any
    distance: Any
    before: Any
    visited: Any
    target: Any
    offset: Any
    query: Any


def assign(cost, count):
    """The assignment of the least total cost of each problem: no query twice, and as many targets as possible.

    Args:
        cost: float `[N, Q, M]`, of a query and a target. What is not finite counts as dearer than all else together.
        count: int32 `[N]`, 0..M: the first `count` targets exist, the others may hold any cost.

    Returns:
        `query` int32 `[N, M]`, that of each target; 0 where it has none
        `matched` bool `[N, M]`, whether it has one: each that exists, or Q of them where there are more
    """
    cost = ops.stop_gradient(ops.cast(cost, "float32"))
    if keras.backend.backend() != "tensorflow":
        return _assigned(cost, count)
    import tensorflow as tf

    # Hundreds of steps of small operators: XLA runs them together, and a GPU would take longer to start them.
    with tf.device("CPU:0"):
        return _compiled(cost, tf.convert_to_tensor(count))


def _assigned(cost, count):
    """As `assign`."""
    problems, queries, targets = ops.shape(cost)
    exists = ops.expand_dims(ops.arange(targets, dtype="int32"), 0) < ops.expand_dims(count, 1)
    cost = ops.transpose(cost, (0, 2, 1))
    cost = _with_spare_queries(_finite(cost, exists), count, queries)
    # What a target costs more everywhere changes no choice; without it large costs keep their small differences.
    cost = cost - ops.min(cost, axis=2, keepdims=True)
    table = ops.reshape(cost, (-1, cost.shape[2]))
    first_row = ops.arange(problems, dtype="int32") * targets

    state, waiting = _begin(cost, exists)
    numbers = ops.sum(ops.cast(waiting < targets, "int32"), axis=1)

    def unfinished(*state):
        return ops.any(_State(*state).number < numbers)

    def step(*state):
        return _moved(_searched(_State(*state), table, first_row, numbers), waiting)

    query = _State(*ops.while_loop(unfinished, step, state)).query_of
    matched = ops.logical_and(exists, ops.logical_and(query >= 0, query < queries))
    return ops.where(matched, query, 0), matched


_compiled = compiled(_assigned)


def _finite(cost, exists):
    """The costs `[N, M, Q]` with a finite one for what is not: so dear that the fewest of them are taken."""
    known = ops.logical_and(ops.isfinite(cost), ops.expand_dims(exists, 2))
    cost = ops.clip(cost, -LARGEST, LARGEST)
    low = ops.min(ops.where(known, cost, LARGEST), axis=(1, 2), keepdims=True)
    high = ops.max(ops.where(known, cost, -LARGEST), axis=(1, 2), keepdims=True)
    span = ops.where(high > low, high - low, 1.0)
    return ops.where(known, cost, ops.maximum(high, low) + cost.shape[1] * span)


def _with_spare_queries(cost, count, queries: int):
    """The costs `[N, M, max(Q, M)]`: with as many more queries, equally dear for all, as a problem lacks."""
    more = cost.shape[1] - queries
    if more <= 0:
        return cost
    lacking = ops.expand_dims(ops.arange(more, dtype="int32"), 0) < ops.expand_dims(count - queries, 1)
    spare = ops.expand_dims(ops.where(lacking, 0.0, float("inf")), 1)
    return ops.concatenate([cost, ops.broadcast_to(spare, (*ops.shape(cost)[:2], more))], axis=2)


def _begin(cost, exists):
    """Each query with the first of the targets that find it the cheapest; and the other targets, int32 `[N, M]`.

    Those that wait come first, then M stands for none.
    """
    targets, queries = cost.shape[1:]
    target, query = ops.arange(targets, dtype="int32"), ops.arange(queries, dtype="int32")
    cheapest = ops.where(exists, argmax(-cost), NONE)
    wanted = ops.expand_dims(cheapest, 2) == query  # [N, M, C]
    first = ops.min(ops.where(wanted, ops.reshape(target, (1, -1, 1)), targets), axis=1)
    target_of = ops.where(first < targets, first, NONE)
    is_first = ops.any(ops.logical_and(wanted, ops.expand_dims(first, 1) == ops.reshape(target, (1, -1, 1))), axis=2)
    query_of = ops.where(is_first, cheapest, NONE)
    waiting = ops.sort(ops.where(ops.logical_and(exists, ops.logical_not(is_first)), target, targets), axis=1)
    none, nowhere = ops.zeros_like(target_of), ops.zeros_like(waiting[:, 0])
    distance = ops.full_like(cost[:, 0], float("inf"))
    state = _State(
        price=ops.zeros_like(distance),
        target_of=target_of,
        query_of=query_of,
        number=nowhere,
        moving=nowhere > 0,
        distance=distance,
        before=none,
        visited=none > 0,
        target=ops.minimum(waiting[:, 0], targets - 1),
        offset=ops.zeros_like(distance[:, 0]),
        query=nowhere,
    )
    return state, waiting


def _searched(state: _State, table, first_row, numbers) -> _State:
    """One step of those that search: to the nearest query that is not visited, and on with the target that has it."""
    searching = ops.logical_and(ops.logical_not(state.moving), state.number < numbers)
    way = gather(table, first_row + state.target) - state.price + ops.expand_dims(state.offset, 1)
    nearer = ops.logical_and(way < state.distance, ops.logical_not(state.visited))
    distance = ops.where(nearer, way, state.distance)
    before = ops.where(nearer, ops.expand_dims(state.target, 1), state.before)

    left = ops.where(state.visited, float("inf"), distance)
    nearest, reached = argmax(-left), ops.min(left, axis=1)
    visited = ops.logical_or(state.visited, _at(nearest, left))
    owner = _of(state.target_of, nearest)
    found = ops.logical_and(searching, owner < 0)
    # A visited query costs others more by what was saved on the way to it.
    dearer = ops.where(ops.logical_and(visited, ops.expand_dims(found, 1)), distance - ops.expand_dims(reached, 1), 0.0)
    price = state.price + dearer
    target = ops.where(owner < 0, state.target, owner)
    paid = gather(ops.reshape(table, (-1,)), (first_row + target) * table.shape[1] + nearest) - _of(price, nearest)
    return state._replace(
        price=price,
        moving=ops.logical_or(state.moving, found),
        distance=distance,
        before=before,
        visited=visited,
        target=target,
        offset=reached - paid,
        query=ops.where(found, nearest, state.query),
    )


def _moved(state: _State, waiting) -> _State:
    """One step of those that move: a query goes to the target before it, and the one that it had is next.

    The target that waited had none. Then the search of the next one begins.
    """
    target = _of(state.before, state.query)
    given = _of(state.query_of, target)
    moving = ops.expand_dims(state.moving, 1)
    target_of = ops.where(
        ops.logical_and(moving, _at(state.query, state.target_of)), ops.expand_dims(target, 1), state.target_of
    )
    query_of = ops.where(
        ops.logical_and(moving, _at(target, state.query_of)), ops.expand_dims(state.query, 1), state.query_of
    )
    done = ops.logical_and(state.moving, given < 0)
    number = state.number + ops.cast(done, "int32")
    following = _of(waiting, ops.minimum(number, waiting.shape[1] - 1))
    again = ops.expand_dims(done, 1)
    return state._replace(
        target_of=target_of,
        query_of=query_of,
        number=number,
        moving=ops.logical_and(state.moving, given >= 0),
        distance=ops.where(again, float("inf"), state.distance),
        visited=ops.logical_and(state.visited, ops.logical_not(again)),
        target=ops.where(done, ops.minimum(following, waiting.shape[1] - 1), state.target),
        offset=ops.where(done, 0.0, state.offset),
        query=ops.maximum(given, 0),
    )


def _of(values, index):
    """The entry of each row, `[N]`, of values `[N, C]` at index int32 `[N]`."""
    row = ops.arange(ops.shape(values)[0], dtype="int32") * values.shape[1]
    return gather(ops.reshape(values, (-1,)), row + index)


def _at(index, like):
    """Where the columns of `[N, C]` are those of index int32 `[N]`, bool `[N, C]`."""
    return ops.expand_dims(index, 1) == ops.arange(like.shape[1], dtype="int32")
