import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.space_depth import depth_to_space, space_to_depth


def random_map(height, width, depth):
    return np.random.default_rng(0).normal(size=(2, height, width, depth)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 2, 4])
def test_blocks_are_those_of_tensorflow(block):
    x = random_map(8, 12, 16)
    if block > 1:
        np.testing.assert_array_equal(space_to_depth(x, block), tf.nn.space_to_depth(x, block))
        np.testing.assert_array_equal(depth_to_space(x, block), tf.nn.depth_to_space(x, block))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x, block), block), x)


def test_zeros_fill_up_the_last_blocks():
    x = np.arange(1, 7, dtype=np.float32).reshape(1, 3, 2, 1)  # rows 1 2, 3 4, 5 6
    expected = [[[1, 2, 3, 4]], [[5, 6, 0, 0]]]
    np.testing.assert_array_equal(space_to_depth(x, 2)[0], expected)


def test_sizes_known_only_when_run_give_the_same_blocks():
    traced = tf.function(lambda x: space_to_depth(x, 4), input_signature=[tf.TensorSpec([None, None, None, 3])])
    assert traced.get_concrete_function().output_shapes.as_list() == [None, None, None, 48]
    for size in ((8, 12), (9, 5)):
        x = random_map(*size, 3)
        np.testing.assert_array_equal(traced(x), space_to_depth(x, 4))
