"""A transformer's block."""

import keras
import numpy as np
import tensorflow as tf

from tfpanoptic.layers.transformer_block import TransformerBlock

TOKENS = np.random.default_rng(0).normal(size=(2, 7, 8)).astype("float32")


def block(**settings):
    keras.utils.set_random_seed(0)
    layer = TransformerBlock(8, 2, 16, layer_scale=0.5, name="block", **settings)
    layer.build(TOKENS.shape)
    for weight in layer.weights:
        if weight.name == "kernel":
            weight.assign(np.random.default_rng(1).normal(size=weight.shape) * 0.4)
    return layer


def test_a_block_is_the_formula_written_out():
    """One token at a time in NumPy: layer normalisation, two heads of 4, exact GELU."""
    layer = block(epsilon=1e-2)
    weights = {weight.path.removeprefix("block/"): np.asarray(weight, "float64") for weight in layer.weights}
    erf = np.vectorize(__import__("math").erf)

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-2)
        return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    def dense(x, name):
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    x = TOKENS.astype("float64")
    normed = norm(x, "norm1")
    found = []
    for head in (slice(0, 4), slice(4, 8)):
        query, key, value = (dense(normed, name)[..., head] for name in ("query", "key", "value"))
        scores = np.exp(query @ key.transpose(0, 2, 1) / 2.0)
        found.append(scores / scores.sum(-1, keepdims=True) @ value)
    x = x + weights["scale1"] * dense(np.concatenate(found, -1), "out")
    hidden = dense(norm(x, "norm2"), "fc1")
    x = x + weights["scale2"] * dense(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, "fc2")
    np.testing.assert_allclose(layer(TOKENS), x, atol=1e-5)


def test_a_query_does_not_see_the_patches_that_are_hidden_from_it():
    """Two queries, three other tokens, two patches; the first query sees the second patch alone."""
    layer = block()
    visible = np.array([[[False, True], [True, True]]] * 2)
    changed = TOKENS.copy()
    changed[:, 5, 0] += 1.0
    before, after = (np.asarray(layer(tokens, visible=visible)) for tokens in (TOKENS, changed))
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    assert (np.abs(before[:, [1, 2, 3, 4, 6]] - after[:, [1, 2, 3, 4, 6]]).max(-1) > 1e-6).all()


def test_a_mask_that_hides_nothing_changes_nothing():
    layer = block()
    np.testing.assert_allclose(layer(TOKENS, visible=np.ones((2, 2, 2), bool)), layer(TOKENS), atol=1e-6)


def test_rotary_positions_turn_the_last_tokens_alone():
    layer = block()
    rotary = np.stack([np.zeros((1, 2, 4)), np.ones((1, 2, 4))], 1).astype("float32")
    still = np.stack([np.ones((1, 2, 4)), np.zeros((1, 2, 4))], 1).astype("float32")
    np.testing.assert_allclose(layer(TOKENS, still), layer(TOKENS), atol=1e-6)
    assert np.abs(layer(TOKENS, rotary) - layer(TOKENS)).max() > 1e-4


def test_every_weight_but_the_bias_of_the_keys_receives_a_gradient():
    """A constant added to all keys cancels in the softmax."""
    layer = block()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(TOKENS) ** 2)
    for weight, gradient in zip(layer.trainable_weights, tape.gradient(total, layer.trainable_weights), strict=True):
        reached = np.abs(gradient).max() > 1e-4
        assert reached == (weight.path != "block/key/bias"), weight.path
    assert "block/key/bias" not in {weight.path for weight in block(key_bias=False).weights}


def test_in_mixed_precision_the_tokens_are_bfloat16_and_near():
    layer, mixed = block(), block(dtype="mixed_bfloat16")
    found = mixed(TOKENS)
    assert found.dtype == "bfloat16" and all(weight.dtype == "float32" for weight in mixed.weights)
    np.testing.assert_allclose(np.asarray(found, "float32"), layer(TOKENS), atol=0.1)
