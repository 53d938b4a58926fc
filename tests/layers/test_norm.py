import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.errors import InputError
from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm, SeparableConvNorm
from tfpanoptic.layers.norm import BatchNorm, FrozenBatchNorm, Norm, normalization


def maps(shape=(3, 5, 7, 4), seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, shape).astype("float32")


def filled(layer, channels=4, seed=1):
    """The layer, built, with random weights of a batch normalisation."""
    layer.build((None, None, None, channels))
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 2.0, channels).astype("float32"))
    return layer


def trained(layer, x, compiled=False):
    """Outputs in training, gradients of a weighted sum of them, and the moving statistics afterwards."""
    weights = maps(x.shape, seed=2)

    @tf.function(jit_compile=compiled)
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            total = tf.reduce_sum(outputs * weights)
        return outputs, *tape.gradient(total, [x, layer.gamma.value, layer.beta.value])

    return [np.asarray(value) for value in (*step(tf.constant(x)), *layer.non_trainable_weights)]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 7, 4), (2, 1, 2, 4)])
def test_training_equals_keras_own_layer(shape, compiled):
    settings = {"epsilon": 1e-5, "momentum": 0.9}
    ours = trained(filled(BatchNorm(**settings)), maps(shape), compiled)
    keras_own = trained(filled(keras.layers.BatchNormalization(**settings)), maps(shape))
    for value, expected in zip(ours, keras_own, strict=True):
        # float32 sums in another order.
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_moving_statistics_are_those_of_all_cells():
    layer = BatchNorm(momentum=0.75)
    # Mean 3 and variance 5: a quarter of them, and three quarters of the 0 and 1 before.
    layer(np.array([0, 2, 4, 6], "float32").reshape(2, 2, 1, 1), training=True)
    np.testing.assert_allclose([layer.moving_mean[0], layer.moving_variance[0]], [0.75, 2.0], rtol=1e-6)


def test_a_layer_that_is_not_trainable_keeps_its_statistics():
    layer = filled(BatchNorm(trainable=False))
    before = [np.asarray(weight) for weight in layer.weights]
    np.testing.assert_array_equal(layer(maps(), training=True), layer(maps(), training=False))
    np.testing.assert_array_equal(before, layer.weights)


def test_statistics_of_bfloat16_maps_are_float32():
    layer = BatchNorm(momentum=0.0, dtype="mixed_bfloat16")
    # A running bfloat16 sum of ones stays at 256.
    x = np.concatenate([np.full((1, 64, 64, 1), value, "float32") for value in (1, 3)])
    assert layer(x, training=True).dtype == tf.bfloat16
    np.testing.assert_allclose([layer.moving_mean[0], layer.moving_variance[0]], [2, 1], rtol=1e-6)


def test_frozen_normalisation_is_an_affine_map_in_training_and_inference():
    layer = FrozenBatchNorm(epsilon=0.25)
    layer.build((None, None, None, 1))
    for weight, value in zip((layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance), (3, 10, 4, 0.75)):
        weight.assign([value])
    x = np.array([4, 6], "float32").reshape(1, 1, 2, 1)
    for training in (True, False):
        # (x - 4) / sqrt(0.75 + 0.25) * 3 + 10.
        np.testing.assert_allclose(layer(x, training=training), [[[[10], [16]]]], rtol=1e-6)
    assert [float(weight[0]) for weight in layer.weights] == [3, 10, 4, 0.75]


def test_frozen_weights_cannot_be_made_trainable():
    layer = ConvNorm(4, 1, norm=Norm("frozen"))
    layer.build((None, None, None, 4))
    layer.trainable = True
    assert [weight.name for weight in layer.trainable_weights] == ["kernel"]


def test_frozen_scales_start_at_one_where_trained_ones_start_at_zero():
    layers = {kind: normalization(Norm(kind), gamma_initializer="zeros") for kind in ("batch", "frozen")}
    for layer in layers.values():
        layer.build((None, None, None, 1))
    assert {kind: float(layer.gamma[0]) for kind, layer in layers.items()} == {"batch": 0.0, "frozen": 1.0}


def test_frozen_and_trained_normalisation_agree_in_inference():
    frozen, batch = filled(FrozenBatchNorm(1e-3)), filled(BatchNorm(epsilon=1e-3))
    np.testing.assert_allclose(frozen(maps()), batch(maps(), training=False), rtol=1e-6, atol=1e-6)


def test_groups_of_channels_are_normalised_image_by_image():
    layer = normalization(Norm("group", groups=2, epsilon=1e-5))
    x = maps((2, 3, 5, 4))
    groups = x.reshape(2, 15, 2, 2)
    mean, variance = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    expected = ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    np.testing.assert_allclose(layer(x, training=True), expected, atol=1e-5)


def test_statistics_of_groups_are_float32_under_mixed_precision():
    layer = normalization(Norm("group", groups=1, epsilon=1e-5), dtype="mixed_bfloat16")
    # Mean 2 and variance 1; a running bfloat16 sum of ones stays at 256.
    x = np.concatenate([np.full((1, 64, 64, 1), value, "float32") for value in (1, 3)], axis=1)
    outputs = layer(x)
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_array_equal(np.unique(tf.cast(outputs, tf.float32)), [-1, 1])


def test_groups_that_do_not_divide_the_channels_are_refused_by_their_setting():
    layer = ConvNorm(6, 1, norm=Norm("group", groups=4), name="fuse")
    with pytest.raises(InputError, match=r"norm\.groups.*6 channels \(fuse/group_norm\).*4"):
        layer.build((None, None, None, 3))


@pytest.mark.parametrize("make", [lambda norm: ConvNorm(2, 3, norm=norm), lambda norm: DepthwiseConvNorm(3, norm=norm)])
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("batch", [f"batch_norm/{name}" for name in ("beta", "gamma", "moving_mean", "moving_variance")]),
        ("frozen", [f"batch_norm/{name}" for name in ("beta", "gamma", "moving_mean", "moving_variance")]),
        ("group", ["group_norm/beta", "group_norm/gamma"]),
        ("none", ["conv/bias"]),
    ],
)
def test_weights_beside_the_kernel_by_kind(make, kind, names):
    layer = make(Norm(kind, groups=2))
    layer.build((None, None, None, 2))
    paths = {weight.path.removeprefix(f"{layer.name}/") for weight in layer.weights}
    assert paths == {"conv/kernel", *names}


def test_a_keras_file_keeps_the_record(tmp_path):
    image = keras.Input((None, None, 3))
    layer = SeparableConvNorm(4, 3, norm=Norm("batch", epsilon=1e-5, momentum=0.9), name="x")
    keras.Model(image, layer(image)).save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras").get_layer("x")
    assert (reloaded.depthwise.norm.epsilon, reloaded.pointwise.norm.momentum) == (1e-5, 0.9)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="'layer'"):
        normalization(Norm("layer"))
