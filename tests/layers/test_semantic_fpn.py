import keras
import numpy as np
import tensorflow as tf

from tests.layers.test_layer_rules import keras_policy
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.semantic_fpn import SemanticFPN

NORM = Norm("group", epsilon=1e-5, groups=2)


def levels(height=2, width=3, depth=5):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(2, height * 2**n, width * 2**n, depth)).astype("float32") for n in (3, 2, 1, 0)]


def test_logits_have_the_finest_grid():
    layer = SemanticFPN(4, 7, NORM, name="semantic_fpn")
    assert layer(levels()).shape == (2, 16, 24, 7)
    unknown = SemanticFPN(4, 7, NORM, name="semantic_fpn")([keras.Input((None, None, 5)) for _ in range(4)])
    assert unknown.shape == (None, None, None, 7)


def test_a_level_is_convolved_as_often_as_it_is_enlarged():
    layer = SemanticFPN(4, 7, NORM, name="semantic_fpn")
    layer(levels())
    kernels = [weight.path for weight in layer.weights if weight.path.endswith("conv/kernel")]
    expected = [f"semantic_fpn/p{n}_conv{i}/conv/kernel" for n in (2, 3, 4, 5) for i in range(1, max(1, n - 2) + 1)]
    assert sorted(kernels) == sorted(expected)


def test_branches_are_added_at_the_finest_grid():
    """With kernels of 0 and shifts of their own, ReLU leaves the shifts, and enlarging a constant changes nothing."""
    layer = SemanticFPN(2, 1, NORM, name="semantic_fpn")
    layer(levels())
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape))
        if weight.path.endswith("beta"):
            last = weight.path.split("/")[1] in ("p2_conv1", "p3_conv1", "p4_conv2", "p5_conv3")
            weight.assign(np.array([1.0, 10.0]) if last else np.array([5.0, 5.0]))
    layer.predict.kernel.assign(np.array([1.0, 0.5]).reshape(1, 1, 2, 1))
    np.testing.assert_allclose(layer(levels()), 4 * (1 + 5), rtol=1e-5)


def test_every_weight_receives_a_gradient_and_predictions_are_float32():
    with keras_policy("mixed_bfloat16"):
        layer = SemanticFPN(4, 7, NORM, name="semantic_fpn")
        with tf.GradientTape() as tape:
            logits = layer(levels())
            total = tf.reduce_sum(logits**2)
    assert logits.dtype == tf.float32
    gradients = tape.gradient(total, [weight.value for weight in layer.trainable_weights])
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=True):
        assert gradient is not None and tf.reduce_any(gradient != 0), weight.path


def test_a_reloaded_branch_gives_equal_logits(tmp_path):
    inputs = [keras.Input((None, None, 5)) for _ in range(4)]
    model = keras.Model(inputs, SemanticFPN(4, 7, NORM, name="semantic_fpn")(inputs))
    model.save(tmp_path / "branch.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "branch.keras")(levels()), model(levels()))
