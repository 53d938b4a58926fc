import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.export.zeros import without_zeros

interpreter = pytest.importorskip("ai_edge_litert.interpreter")


def converted(function) -> bytes:
    """A function of float32 `[64, 128]` as a LiteRT model."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([64, 128], tf.float32, name="x")])
        def run(self, x):
            return {"y": function(x)}

    module = Module()
    concrete = module.run.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()


def outputs(model: bytes, x) -> np.ndarray:
    run = interpreter.Interpreter(model_content=model)
    run.allocate_tensors()
    run.set_tensor(run.get_input_details()[0]["index"], x)
    run.invoke()
    return run.get_tensor(run.get_output_details()[0]["index"])


def test_the_zeros_that_a_loop_begins_with_are_not_in_the_file_and_it_computes_the_same():
    def sums(x):
        count = tf.cast(tf.reduce_max(x), tf.int32)
        start = (tf.constant(0), tf.zeros([64, 128]))
        return tf.while_loop(lambda step, _: step < count, lambda step, total: (step + 1, total + x), start)[1]

    model = converted(sums)
    smaller = without_zeros(model)
    assert len(model) > 64 * 128 * 4 > len(smaller)
    x = np.random.default_rng(0).uniform(0, 5, (64, 128)).astype(np.float32)
    x[0, 0] = 3.5  # the loop's length is that of the largest, cut off
    np.testing.assert_array_equal(outputs(smaller, x), outputs(model, x))
    assert outputs(smaller, x).any()


def test_weights_of_zero_stay():
    weights = np.zeros((128, 64), np.float32)
    model = converted(lambda x: tf.matmul(x, tf.constant(weights)))
    assert len(without_zeros(model)) > weights.nbytes
