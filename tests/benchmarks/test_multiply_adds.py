"""Counting of multiply-adds, against layers that are worked out by hand."""

import importlib.util
from pathlib import Path

import keras
import pytest
import tensorflow as tf

FILE = Path(__file__).parents[2] / "benchmarks" / "multiply_adds.py"


@pytest.fixture(scope="module")
def count():
    spec = importlib.util.spec_from_file_location("multiply_adds", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda function: sum(module.count_multiply_adds(function).values())


LAYERS = {
    # 5 x 6 outputs of 4 channels, each from 3 x 3 x 2 values.
    "convolution": (keras.layers.Conv2D(4, 3, padding="same"), (1, 5, 6, 2), 5 * 6 * 4 * 3 * 3 * 2),
    # Rows 0, 2, 4 and columns 0, 2, 4.
    "strided": (keras.layers.Conv2D(4, 3, strides=2, padding="same"), (1, 5, 6, 2), 3 * 3 * 4 * 3 * 3 * 2),
    # As many as without dilation: TensorFlow cuts the map into 4 x 4 pieces of 2 x 2 cells, of which 34 are padding.
    "dilated": (keras.layers.Conv2D(4, 3, padding="same", dilation_rate=4), (1, 5, 6, 2), 5 * 6 * 4 * 3 * 3 * 2),
    "dilated depthwise": (
        keras.layers.DepthwiseConv2D(3, padding="same", dilation_rate=4),
        (1, 5, 6, 2),
        5 * 6 * 2 * 3 * 3,
    ),
    "depthwise": (keras.layers.DepthwiseConv2D(3, padding="same"), (1, 5, 6, 2), 5 * 6 * 2 * 3 * 3),
    # Each of 5 x 6 x 2 inputs goes to 2 x 2 x 4 outputs.
    "transposed": (keras.layers.Conv2DTranspose(4, 2, strides=2), (1, 5, 6, 2), 5 * 6 * 2 * 2 * 2 * 4),
    "dense": (keras.layers.Dense(7), (3, 5), 3 * 5 * 7),
    "norm": (keras.layers.LayerNormalization(), (3, 5), 0),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_costs_what_the_hand_works_out(count, name):
    layer, shape, expected = LAYERS[name]
    layer.build(shape)
    assert count(lambda: layer(tf.ones(shape))) == expected


def test_an_output_of_a_grouped_convolution_sees_its_own_group_alone(count):
    # 5 x 6 outputs of 4 channels, each from 2 of the 4 channels.
    assert count(lambda: tf.nn.conv2d(tf.ones((1, 5, 6, 4)), tf.ones((1, 1, 2, 4)), 1, "SAME")) == 5 * 6 * 4 * 2


def test_products_of_batches_and_sums_over_products_count_every_pair(count):
    left, right = tf.ones((2, 3, 4)), tf.ones((2, 5, 4))
    # 2 batches, 3 by 5 pairs of 4 values.
    assert count(lambda: tf.matmul(left, right, transpose_b=True)) == 2 * 3 * 5 * 4
    assert count(lambda: tf.matmul(tf.transpose(left, (0, 2, 1)), right, transpose_a=True, transpose_b=True)) == 120
    assert count(lambda: tf.einsum("bqc,bpc->bpq", left, right)) == 2 * 3 * 5 * 4


def test_a_loop_counts_as_often_as_it_runs(count):
    matrix = tf.ones((2, 2))
    assert count(lambda: tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x @ matrix), (0, matrix))) == 3 * 8


@pytest.mark.parametrize("traced_before", [False, True])
def test_a_traced_function_is_refused_for_it_hides_what_it_runs(count, traced_before):
    square = tf.function(lambda x: x @ x)
    if traced_before:
        square(tf.ones((2, 2)))
    with pytest.raises(RuntimeError, match="traced"):
        count(lambda: square(tf.ones((2, 2))))
    # The counting that failed has ended.
    assert count(lambda: tf.ones((2, 2)) @ tf.ones((2, 2))) == 8


def test_resnet_50_costs_what_is_published(count):
    """4.1 billion at 224 x 224. Source: Wang et al. 2020, table 1, without its classifier's 2 million."""
    from tfpanoptic.backbones import BACKBONES
    from tfpanoptic.layers.norm import Norm

    record = BACKBONES["resnet50"]
    options = record.config.model_validate({"name": "resnet50", "max_pool": True})
    image = keras.Input((None, None, 3))
    backbone = keras.Model(image, record.build(image, options, Norm()))
    assert count(lambda: backbone(tf.ones((1, 224, 224, 3)))) == pytest.approx(4.1e9, rel=0.01)
