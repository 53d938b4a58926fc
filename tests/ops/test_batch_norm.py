import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.batch_norm import batch_norm_of_batch

GAMMA, BETA = np.array([1.0, 2.0, -0.5], "float32"), np.array([0.0, 3.0, 1.0], "float32")


def maps(shape=(2, 5, 7, 3), dtype="float32"):
    return tf.cast(np.random.default_rng(0).normal(100.0, 3.0, shape), dtype)


def by_hand(x, gamma, beta, epsilon):
    """Outputs, means and biased variances in float64."""
    x = np.asarray(tf.cast(x, tf.float64))
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta, mean, variance


@pytest.mark.parametrize(
    ("dtype", "rounding"), [("float32", 1e-6), ("bfloat16", 2**-8), ("float16", 2**-11), ("float64", 1e-7)]
)
def test_statistics_are_float32_or_wider_from_any_dtype(dtype, rounding):
    x = maps(dtype=dtype)
    outputs, mean, variance = batch_norm_of_batch(x, GAMMA, BETA, 1e-3)
    expected, expected_mean, expected_variance = by_hand(x, GAMMA, BETA, 1e-3)
    assert outputs.dtype == x.dtype and mean.dtype == variance.dtype == (
        tf.float64 if dtype == "float64" else tf.float32
    )
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-6)
    np.testing.assert_allclose(variance, expected_variance, rtol=1e-5)
    # Values of about 100 with a deviation of 3 lose 5 of their 24 bits; outputs are rounded to their dtype at the end.
    np.testing.assert_allclose(tf.cast(outputs, tf.float64), expected, rtol=rounding, atol=2e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_variance_is_divided_by_the_number_of_cells(compiled):
    run = tf.function(batch_norm_of_batch, jit_compile=compiled)
    # 0, 2, 4, 6: mean 3, squares 9 + 1 + 1 + 9 = 20, divided by 4 and not by 3.
    _, mean, variance = run(tf.reshape([0.0, 2.0, 4.0, 6.0], (2, 2, 1, 1)), tf.ones(1), tf.zeros(1), 1e-3)
    np.testing.assert_allclose([mean[0], variance[0]], [3, 5], rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_single_cell_has_no_variance(compiled):
    run = tf.function(batch_norm_of_batch, jit_compile=compiled)
    outputs, mean, variance = run(tf.fill((1, 1, 1, 3), 7.0), GAMMA, BETA, 1e-3)
    np.testing.assert_array_equal(outputs, BETA.reshape(1, 1, 1, 3))
    np.testing.assert_array_equal(mean, [7, 7, 7])
    np.testing.assert_array_equal(variance, [0, 0, 0])


def test_sizes_may_be_known_only_at_run_time():
    signature = [tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([3]), tf.TensorSpec([3])]
    run = tf.function(lambda x, gamma, beta: batch_norm_of_batch(x, gamma, beta, 1e-3), input_signature=signature)
    for shape in ((2, 5, 7, 3), (1, 4, 3, 3)):
        for value, expected in zip(run(maps(shape), GAMMA, BETA), by_hand(maps(shape), GAMMA, BETA, 1e-3)):
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=2e-5)


def test_an_epsilon_is_taken_as_it_is():
    # The variance of -1e-3 and 1e-3 is 1e-6: the output is 1e-3 / sqrt(1e-6 + epsilon).
    x = tf.reshape([-1e-3, 1e-3], (2, 1, 1, 1))
    for epsilon in (1e-6, 1e-5):
        outputs, *_ = batch_norm_of_batch(x, tf.ones(1), tf.zeros(1), epsilon)
        np.testing.assert_allclose(outputs[1], [[[1e-3 / np.sqrt(1e-6 + epsilon)]]], rtol=1e-6)
