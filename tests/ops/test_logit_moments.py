import numpy as np
import pytest
import tensorflow as tf

from tests.ops.slow_axial_attention import seen, slow_logits
from tfpanoptic.ops import chunks
from tfpanoptic.ops.logit_moments import logit_moments
from tfpanoptic.ops.row_windows import cut_rows

CASES = [(7, None), (40, 5), (9, 65), (70, 3)]


def random_inputs(length, span, shift=0.0):
    """Queries, keys, and embeddings of all distances within reach."""
    random = np.random.default_rng(0)
    reach = length - 1 if span is None else span // 2
    shapes = [(3, length, 2, 3)] * 2 + [(2 * reach + 1, 3)] * 2
    return [(shift + random.normal(size=shape)).astype("float32") for shape in shapes]


def slow_moments(queries, keys, *embeddings, span):
    length = queries.shape[1]
    # Distances beyond the row's ends are in no pair.
    logits = slow_logits(queries, keys, *embeddings)[..., seen(length, span)]
    return logits.mean((1, 3)), logits.var((1, 3))


@pytest.mark.parametrize(("length", "span"), CASES)
def test_moments_are_those_of_all_pairs_that_see_each_other(monkeypatch, length, span):
    monkeypatch.setattr(chunks, "TOGETHER", 2**13)
    inputs = random_inputs(length, span)
    for ours, expected in zip(logit_moments(*inputs, cut_rows(length, span)), slow_moments(*inputs, span=span)):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("length", "span"), CASES)
def test_a_large_mean_does_not_cancel_the_variance(length, span):
    # Means near 300, deviations near 17 and 30.
    inputs = random_inputs(length, span, shift=10.0)
    ours, expected = logit_moments(*inputs, cut_rows(length, span)), slow_moments(*inputs, span=span)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-4)


@pytest.mark.parametrize(("length", "span"), CASES)
def test_gradients_are_those_of_finite_differences(length, span):
    inputs = random_inputs(length, span)
    weights = np.random.default_rng(1).normal(size=(2, 3, 2))
    variables = [tf.constant(value) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        total = tf.reduce_sum(tf.stack(logit_moments(*variables, cut_rows(length, span))) * weights.astype("float32"))
    for which, gradient in enumerate(tape.gradient(total, variables)):
        direction = np.random.default_rng(2).normal(size=inputs[which].shape)
        ends = []
        for step in (1e-4, -1e-4):
            moved = [value.astype("float64") for value in inputs]
            moved[which] += step * direction
            ends.append((np.stack(slow_moments(*moved, span=span)) * weights).sum())
        found = (np.asarray(gradient) * direction).sum()
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-4, rtol=1e-3, atol=1e-4)
