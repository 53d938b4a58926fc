import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests.ops.slow_axial_attention import slow_logits, slow_retrieved
from tfpanoptic.ops import chunks
from tfpanoptic.ops.axial_attention import axial_attention
from tfpanoptic.ops.row_windows import cut_rows, distances

# (cells of a row, span): whole rows, blocks of queries, blocks and a rest, a span wider than the row.
CASES = [(7, None), (40, None), (40, 5), (101, 41), (9, 65), (70, 1)]


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of few rows, the last one not full."""
    monkeypatch.setattr(chunks, "TOGETHER", 2**13)


def random_rows(length, rows=5, heads=2, key_width=3, value_width=4):
    """Queries and keys for keys and for positions, values, and embeddings of 31 distances."""
    random = np.random.default_rng(0)
    shapes = [(rows, length, heads, key_width)] * 4 + [(rows, length, heads, value_width)]
    shapes += [(31, key_width)] * 2 + [(31, value_width)]
    return [random.normal(size=shape).astype("float32") for shape in shapes]


def attend(query, query2, key, key2, values, *embeddings, span):
    cut = cut_rows(ops.shape(values)[1], span)
    index = ops.clip(distances(cut) + 15, 0, 30)
    places = (index, ops.transpose(index), index)
    tables = [ops.take(table, at, axis=0) for table, at in zip(embeddings, places, strict=True)]
    return axial_attention((query, query2), (key, key2), values, tables, cut)


def slow(query, query2, key, key2, values, *embeddings, span):
    logits = slow_logits(query, key, *embeddings[:2])
    of_positions = slow_logits(query2, key2, *embeddings[:2])
    return slow_retrieved(np.stack([logits[0], *of_positions[1:]]), values, embeddings[2], span)


@pytest.mark.parametrize(("length", "span"), CASES)
def test_it_retrieves_what_the_definition_says(small_chunks, length, span):
    inputs = random_rows(length)
    for ours, expected in zip(attend(*inputs, span=span), slow(*inputs, span=span), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_span_meets_no_more_keys_than_a_few_blocks():
    cut = cut_rows(1025, 65)
    assert (cut.block, cut.window) == (32, 96)
    assert cut.pairs < 1025 * 1025 / 10


@pytest.mark.parametrize(("length", "span"), [(70, 65), (70, 1), (20, 3)])
def test_short_rows_are_one_block_where_that_has_fewer_pairs(length, span):
    assert cut_rows(length, span).pairs <= length * length


def loss_of(retrieved):
    content, position = retrieved
    return ops.sum(ops.sin(content)) + ops.sum(ops.square(position))


@pytest.mark.parametrize(("length", "span"), [(7, None), (40, 5), (9, 65)])
def test_gradients_are_those_of_finite_differences(small_chunks, length, span):
    inputs = random_rows(length)
    variables = [tf.constant(value) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        total = loss_of(attend(*variables, span=span))
    random = np.random.default_rng(1)
    for which, gradient in enumerate(map(tf.convert_to_tensor, tape.gradient(total, variables))):
        direction = random.normal(size=inputs[which].shape)
        ends = []
        for step in (1e-4, -1e-4):
            moved = [value.astype("float64") for value in inputs]
            moved[which] += step * direction
            content, position = slow(*moved, span=span)
            ends.append(np.sin(content).sum() + (position**2).sum())
        expected = (ends[0] - ends[1]) / 2e-4
        scale = np.linalg.norm(gradient) + 1e-3
        np.testing.assert_allclose((gradient.numpy() * direction).sum(), expected, atol=1e-3 * scale)


@pytest.mark.parametrize("span", [None, 5])
@pytest.mark.parametrize(("compiled", "known"), [(False, False), (False, True), (True, False)])
def test_graphs_of_any_kind_give_the_same_values_and_gradients(small_chunks, span, compiled, known):
    def loss_and_gradients(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = loss_of(attend(*inputs, span=span))
        return total, *map(tf.convert_to_tensor, tape.gradient(total, inputs))

    inputs = [tf.constant(value) for value in random_rows(40)]
    sizes = [x.shape if known else [None, None, *x.shape[2:]] for x in inputs[:5]] + [x.shape for x in inputs[5:]]
    traced = tf.function(loss_and_gradients, input_signature=[tf.TensorSpec(s) for s in sizes], jit_compile=compiled)
    for ours, expected in zip(traced(*inputs), loss_and_gradients(*inputs), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


def test_bfloat16_keeps_the_sum_of_logits_in_float32():
    inputs = random_rows(40)
    narrow = [tf.cast(value, tf.bfloat16) for value in inputs]
    expected = attend(*[tf.cast(value, tf.float32) for value in narrow], span=None)
    for ours, value in zip(attend(*narrow, span=None), expected, strict=True):
        assert ours.dtype == tf.bfloat16
        # Three rounded logits of a size of 4 (steps of 2**-6), and the weights' own rounding: 0.0024 at this seed,
        # and 0.0043 where the three are summed in bfloat16.
        error = np.abs(np.asarray(tf.cast(ours, tf.float32)) - np.asarray(value))
        assert error.mean() < 0.0035 and error.max() < 0.1
