import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from tfpanoptic.ops.assignment import assign

# One shape for most tests: XLA compiles once for each.
QUERIES, TARGETS = 12, 9
COUNTS = np.array([9, 4, 0, 7, 1], np.int32)


def random_costs(kind: str, seed: int, problems=5, queries=QUERIES, targets=TARGETS):
    """Multiples of 2**-10 of at most 2**9, whose sums and differences float32 holds exactly."""
    random = np.random.default_rng(seed)
    shape = (problems, queries, targets)
    cost = {
        "random": lambda: random.normal(0, 3, shape),
        # Targets that want the same queries: long ways through those that have one.
        "similar": lambda: random.normal(0, 3, (problems, queries, 1)) + random.normal(0, 0.3, shape),
        "product": lambda: random.uniform(0, 4, (problems, queries, 1)) * random.uniform(0, 4, (problems, 1, targets)),
        "tied": lambda: random.integers(0, 3, shape),
        "equal": lambda: np.full(shape, -2.5),
    }[kind]()
    return (np.round(cost * 1024) / 1024).astype(np.float32)


def check(cost, count, query, matched):
    """Pairs are allowed, as many as there can be, and cost as little as SciPy's."""
    for costs, number, of_target, is_matched in zip(cost, count, np.asarray(query), np.asarray(matched), strict=True):
        costs = costs[:, :number].astype(np.float64)
        rows, columns = linear_sum_assignment(costs)
        assert is_matched.sum() == len(rows) and not is_matched[number:].any()
        assert not of_target[~is_matched].any()
        pairs = [(of_target[target], target) for target in np.flatnonzero(is_matched)]
        assert len({of for of, _ in pairs}) == len(pairs)
        assert sum(costs[pair] for pair in pairs) == costs[rows, columns].sum()


@pytest.mark.parametrize("kind", ["random", "similar", "product", "tied", "equal"])
@pytest.mark.parametrize("seed", range(4))
def test_the_total_cost_is_the_least(kind, seed):
    cost = random_costs(kind, seed)
    check(cost, COUNTS, *assign(cost, COUNTS))


@pytest.mark.parametrize("kind", ["random", "similar", "tied"])
def test_of_more_targets_than_queries_the_cheapest_are_matched(kind):
    cost, count = random_costs(kind, 7, queries=4), np.array([9, 5, 4, 3, 0], np.int32)
    query, matched = assign(cost, count)
    assert matched.numpy().sum(axis=1).tolist() == [4, 4, 4, 3, 0]
    check(cost, count, query, matched)


def test_every_choice_of_a_small_problem_costs_more():
    cost = random_costs("similar", 11, problems=1, queries=5, targets=4)
    query, _ = assign(cost, np.array([4], np.int32))
    choices = {chosen: cost[0][list(chosen), range(4)].sum() for chosen in itertools.permutations(range(5), 4)}
    assert tuple(query.numpy()[0]) == min(choices, key=choices.get)


def test_pairs_are_those_of_scipy_where_one_choice_is_the_best():
    cost = np.random.default_rng(5).uniform(size=(5, QUERIES, TARGETS)).astype(np.float32)
    query, _ = assign(cost, COUNTS)
    for costs, number, of_target in zip(cost, COUNTS, query.numpy()):
        expected = dict(zip(*linear_sum_assignment(costs[:, :number].T)))
        assert expected == dict(enumerate(of_target[:number]))


def test_as_many_queries_as_a_model_has():
    cost = random_costs("similar", 3, problems=4, queries=200, targets=100)
    count = np.array([40, 5, 100, 0], np.int32)
    check(cost, count, *assign(cost, count))


def test_what_stands_in_empty_places_does_not_matter():
    cost = random_costs("random", 2)
    expected = assign(cost, COUNTS)
    for filling in (np.nan, -1e38, np.inf):
        empty = np.arange(TARGETS) >= COUNTS[:, None]
        other = assign(np.where(empty[:, None], np.float32(filling), cost), COUNTS)
        for ours, theirs in zip(other, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_pairs_whose_cost_is_not_finite_are_left_out(value):
    cost = random_costs("random", 4)
    gone = np.random.default_rng(4).uniform(size=cost.shape) < 0.6
    with_infinity = np.where(gone, np.inf, cost)
    query, matched = assign(np.where(gone, np.float32(value), cost), COUNTS)
    check(with_infinity, COUNTS, query, matched)


def test_of_pairs_that_are_not_finite_the_fewest_are_taken():
    # A row a query: two targets fit the first one alone, the third target fits all, and the last query best.
    fits = [[1.0, 2.0, 5.0], [np.inf, np.nan, 4.0], [-np.inf, np.inf, 3.0]]
    query, matched = assign(np.array([fits], np.float32), np.array([3], np.int32))
    assert matched.numpy().all() and sorted(query.numpy()[0]) == [0, 1, 2]
    assert query.numpy()[0].tolist() in ([0, 1, 2], [1, 0, 2])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_costs_of_which_none_is_finite_end_the_loop(value):
    query, matched = assign(np.full((5, QUERIES, TARGETS), value, np.float32), COUNTS)
    assert matched.numpy().sum(axis=1).tolist() == COUNTS.tolist()
    assert all(len(set(row[:number])) == number for row, number in zip(query.numpy(), COUNTS))


@pytest.mark.parametrize("scale", [2.0**90, 2.0**-90])
def test_the_scale_of_the_costs_does_not_matter(scale):
    cost = random_costs("similar", 6) * np.float32(scale)
    check(cost, COUNTS, *assign(cost, COUNTS))


def test_a_target_that_is_dear_everywhere_keeps_the_small_differences():
    cost = random_costs("random", 8)
    dear = cost.copy()
    dear[:, :, 0] = 1e25
    query, matched = assign(dear, COUNTS)
    without = cost.copy()
    without[:, :, 0] = 0
    check(without, COUNTS, query, matched)


@pytest.mark.parametrize("xla", [False, True])
def test_graphs_and_xla_give_the_same_pairs(xla):
    cost = random_costs("similar", 9)
    expected = assign(cost, COUNTS)
    signature = [tf.TensorSpec([None, QUERIES, TARGETS]), tf.TensorSpec([None], tf.int32)]
    function = tf.function(assign, input_signature=signature, jit_compile=xla)
    for ours, theirs in zip(function(cost, COUNTS), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_xla_the_pairs_are_the_same(monkeypatch):
    from tfpanoptic.ops import assignment

    cost = random_costs("similar", 10)
    expected = assign(cost, COUNTS)
    monkeypatch.setattr(assignment, "_compiled", tf.function(assignment._assigned, jit_compile=False))
    for ours, theirs in zip(assign(cost, COUNTS), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_problem_does_not_depend_on_the_others():
    cost = random_costs("product", 12)
    together = assign(cost, COUNTS)[0].numpy()
    for number in range(len(COUNTS)):
        alone = assign(cost[number : number + 1], COUNTS[number : number + 1])[0].numpy()
        np.testing.assert_array_equal(alone[0], together[number])


ON_JAX = """
import sys
sys.modules["tensorflow"] = None
import jax, numpy as np
from tfpanoptic.ops.assignment import assign
stored = np.load(sys.argv[1])
found = {name: jax.jit(assign)(stored[name], stored["count"]) for name in ("few", "many")}
np.savez(sys.argv[2], **{f"{name}/{i}": part for name, parts in found.items() for i, part in enumerate(parts)})
"""


def test_pairs_on_jax_are_the_best_too(tmp_path):
    pytest.importorskip("jax")
    costs = {"few": random_costs("similar", 13), "many": random_costs("tied", 14, queries=4)}
    np.savez(tmp_path / "given.npz", count=COUNTS, **costs)
    run = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path / "given.npz"), str(tmp_path / "found.npz")],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = np.load(tmp_path / "found.npz")
    for name, cost in costs.items():
        check(cost, COUNTS, found[f"{name}/0"], found[f"{name}/1"])
