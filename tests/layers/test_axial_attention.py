import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.ops.slow_axial_attention import seen, slow_logits, slow_retrieved
from tfpanoptic.errors import InputError
from tfpanoptic.layers.axial_attention import FURTHEST, AxialAttention, AxisAttention
from tfpanoptic.layers.norm import Norm

HEADS, KEYS, VALUES = 2, 4, 6


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def maps(shape=(2, 5, 9, 4), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def filled(layer, shape=(None, None, None, 4)):
    """The layer with random weights."""
    layer.build(shape)
    random = np.random.default_rng(1)
    for weight in layer.weights:
        scale = np.abs if weight.name in ("gamma", "moving_variance") else np.asarray
        weight.assign(scale(random.normal(size=weight.shape)) + (scale is np.abs))
    return layer


def normalized(x, layer, kind, axes, statistics=None, shape=(-1,)):
    """Batch normalisation in float64 over `axes`, by the layer's own statistics or by `x`'s."""
    gamma, beta, mean, variance = (
        np.reshape(np.asarray(getattr(getattr(layer, kind), name), "float64"), shape)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    if statistics is not None:
        mean, variance = statistics
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def slow_axis(layer, x, training, span=None):
    """The layer along the width, by the definition: each logit and each output normalised by itself."""
    moments = lambda y, axes: (y.mean(axes, keepdims=True), y.var(axes, keepdims=True)) if training else None  # noqa: E731
    batch, height, width, _ = x.shape
    qkv = x.astype("float64") @ np.asarray(layer.qkv_kernel, "float64")
    qkv = normalized(qkv, layer, "qkv_norm", 3, moments(qkv, (0, 1, 2)))
    rows = np.split(qkv.reshape(batch * height, width, -1), [KEYS, 2 * KEYS], axis=-1)
    query, key, values = (part.reshape(batch * height, width, HEADS, -1) for part in rows)
    logits = slow_logits(query, key, layer.query_positions, layer.key_positions)
    visible = logits[..., seen(width, span)]  # [3, R, N, pairs]
    statistics = moments(visible, (1, 3))
    if training:
        statistics = [statistic[..., None] for statistic in statistics]
    logits = normalized(logits, layer, "logit_norm", 0, statistics, (3, 1, HEADS, 1, 1))
    retrieved = slow_retrieved(logits, values, layer.value_positions, span)
    retrieved = retrieved.reshape(2, batch, height, width, VALUES)
    statistics = moments(retrieved, (1, 2, 3))
    return normalized(retrieved, layer, "output_norm", 0, statistics, (2, 1, 1, 1, VALUES)).sum(0)


@pytest.mark.parametrize("span", [None, 5])
@pytest.mark.parametrize("training", [False, True])
def test_an_axis_is_what_its_definition_says(span, training):
    layer, x = filled(AxisAttention(2, KEYS, VALUES, HEADS, span)), maps()
    np.testing.assert_allclose(layer(x, training=training), slow_axis(layer, x, training, span), rtol=1e-4, atol=1e-4)


def test_the_height_is_the_width_of_the_transposed_map():
    height, width = (filled(AxisAttention(axis, KEYS, VALUES, HEADS)) for axis in (1, 2))
    along_height = height(maps())
    along_width = width(np.swapaxes(maps(), 1, 2))
    np.testing.assert_allclose(along_height, np.swapaxes(along_width, 1, 2), rtol=1e-5, atol=1e-5)


def test_every_kind_of_logits_moves_its_own_statistics():
    layer, x = AxisAttention(2, KEYS, VALUES, HEADS, norm=Norm(momentum=0.75)), maps()
    layer.build(x.shape)
    for weight in (layer.query_positions, layer.key_positions):
        weight.assign(np.random.default_rng(2).normal(size=weight.shape))
    qkv = x.astype("float64") @ np.asarray(layer.qkv_kernel, "float64")
    qkv = (qkv - qkv.mean((0, 1, 2))) / np.sqrt(qkv.var((0, 1, 2)) + 1e-3)
    query, key = (qkv[..., start : start + KEYS].reshape(10, 9, HEADS, -1) for start in (0, KEYS))
    logits = slow_logits(query, key, layer.query_positions, layer.key_positions)
    layer(x, training=True)
    # Three quarters of the 0 and 1 before.
    norm = layer.logit_norm
    np.testing.assert_allclose(norm.moving_mean, 0.25 * logits.mean((1, 3, 4)).ravel(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, 0.75 + 0.25 * logits.var((1, 3, 4)).ravel(), rtol=1e-4)


def test_what_normalising_the_logits_adds_changes_nothing():
    layer = filled(AxisAttention(2, KEYS, VALUES, HEADS))
    before = layer(maps())
    for weight in (layer.logit_norm.beta, layer.logit_norm.moving_mean):
        weight.assign(weight + 100.0)
    np.testing.assert_array_equal(layer(maps()), before)


def test_positions_beyond_the_last_embedding_share_it():
    layer = filled(AxisAttention(2, 1, 1, 1, norm=Norm("frozen")), (None, None, None, 1))
    layer.qkv_kernel.assign(np.zeros((1, 3)))
    for weight in (layer.query_positions, layer.key_positions):
        weight.assign(np.zeros((2 * FURTHEST + 1, 1)))
    layer.value_positions.assign(np.arange(-FURTHEST, FURTHEST + 1, dtype="float32")[:, None])
    norm = layer.output_norm
    for weight, value in zip((norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance), (1.0, 0.0, 0.0, 0.999)):
        weight.assign([value, value])
    found = layer(np.zeros((1, 1, 300, 1), "float32"))[0, 0, :, 0]
    # All keys count alike: the mean of the distances, none of them beyond 254.
    expected = np.clip(np.arange(300)[None] - np.arange(300)[:, None], -254, 254).mean(1)
    content = np.asarray(norm.beta)[0] + layer.qkv_norm.scale_and_shift()[1][2]
    np.testing.assert_allclose(found, expected + content, rtol=1e-3, atol=1e-3)


def test_a_span_hides_what_is_further_away():
    layer, x = AxialAttention(KEYS, VALUES, HEADS, span=5), maps((1, 2, 40, 4))
    changed = x.copy()
    changed[:, :, 20] += 1.0
    differs = np.abs(np.asarray(layer(changed)) - layer(x)).max((0, 1, 3)) > 0
    assert np.flatnonzero(differs).tolist() == [18, 19, 20, 21, 22]


def test_a_stride_keeps_every_second_cell_of_each_axis_after_its_attention():
    every, second = (filled(AxialAttention(KEYS, VALUES, HEADS, stride)) for stride in (1, 2))
    x = maps()
    rows = every.height_axis(x)[:, ::2]
    np.testing.assert_allclose(second(x), every.width_axis(rows)[:, :, ::2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["group", "none"])
def test_other_normalisations_are_refused(kind):
    with pytest.raises(InputError, match=rf"norm\.kind.*batch or frozen.*'{kind}'"):
        AxialAttention(KEYS, VALUES, HEADS, norm=Norm(kind))


def test_channels_that_the_heads_cannot_share_are_refused():
    with pytest.raises(ValueError, match="heads must divide 4 and 6 channels, got 4"):
        AxialAttention(4, 6, 4)


def test_the_moments_of_all_replicas_are_those_of_their_logits(two_replicas):
    """Replicas see different images; together they normalise as one device does."""
    images = maps((4, 3, 5, 4))

    def trained(strategy):
        with strategy.scope():
            layer = filled(AxisAttention(2, KEYS, VALUES, HEADS))
        number = strategy.num_replicas_in_sync
        parts = strategy.experimental_distribute_values_from_function(
            lambda context: np.split(images, number)[context.replica_id_in_sync_group]
        )
        outputs = strategy.run(tf.function(lambda x: layer(x, training=True)), args=(parts,))
        outputs = np.concatenate(strategy.experimental_local_results(outputs))
        return outputs, [keras.ops.convert_to_numpy(v) for v in layer.logit_norm.non_trainable_weights]

    for ours, expected in zip(trained(two_replicas), trained(tf.distribute.get_strategy()), strict=True):
        for value, other in zip(ours, expected, strict=True):
            np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4)
