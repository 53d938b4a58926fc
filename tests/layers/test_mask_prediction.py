"""From queries and patches to masks."""

import keras
import numpy as np
import tensorflow as tf

from tfpanoptic.layers.mask_prediction import MaskEmbedding, MaskLogits, Upscale, pytorch_uniform


def test_logits_are_products_of_queries_and_cells():
    """Two queries, three cells of two channels."""
    vectors = np.array([[[1, 2], [0, -1]]], "float32")
    features = np.array([[[[1, 0], [0, 1], [3, 4]]]], "float32")
    np.testing.assert_array_equal(MaskLogits()(vectors, features), [[[[1, 0], [2, -1], [11, -4]]]])


def test_a_map_becomes_twice_as_large_and_every_weight_receives_a_gradient():
    layer = Upscale(6)
    features = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype("float32")
    with tf.GradientTape() as tape:
        larger = layer(features)
        total = tf.reduce_sum(tf.sin(larger))
    assert larger.shape == (2, 6, 10, 6)
    for weight, gradient in zip(layer.trainable_weights, tape.gradient(total, layer.trainable_weights), strict=True):
        assert np.abs(gradient).max() > 0, weight.path


def test_queries_pass_three_dense_layers():
    layer = MaskEmbedding(4)
    queries = np.random.default_rng(0).normal(size=(1, 3, 4)).astype("float32")
    found, expected = layer(queries), queries
    for dense, activation in zip(layer.layers, (True, True, False), strict=True):
        expected = expected @ np.asarray(dense.kernel) + np.asarray(dense.bias)
        expected = tf.nn.gelu(expected).numpy() if activation else expected
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_begin_as_pytorchs():
    """Uniform within 1 / sqrt(fan in); of a transposed convolution that counts its outputs, of 4 places."""
    keras.utils.set_random_seed(0)
    layer = Upscale(16)
    layer.build((None, None, None, 16))
    for weight, limit in ((layer.deconv.kernel, 1 / 8), (layer.depthwise.kernel, 1 / 3)):
        values = np.asarray(weight)
        assert 0.9 * limit < np.abs(values).max() <= limit and abs(values.mean()) < 0.15 * limit
    assert pytorch_uniform(25).maxval == 0.2
