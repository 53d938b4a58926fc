import keras
import numpy as np

from tfpanoptic.layers.deformable_conv import DeformableConv


def random_map(size=(6, 7), channels=3):
    return np.random.default_rng(0).normal(size=(2, *size, channels)).astype(np.float32)


def test_a_new_layer_is_a_plain_convolution():
    layer = DeformableConv(4, dilation=2, activation="relu")
    x = random_map()
    made = layer(x)
    plain = keras.ops.relu(keras.ops.conv(x, layer.kernel, padding="same", dilation_rate=2))
    np.testing.assert_allclose(made, plain, atol=1e-5)


def test_offsets_come_from_the_map_itself():
    layer = DeformableConv(1)
    layer.build((1, 1, 4, 1))
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 2
    layer.kernel.assign(kernel)
    layer.bias.assign([0.5])
    # The centre tap moves to the right by the cell's own value.
    offset = np.zeros((3, 3, 1, 18), np.float32)
    offset[1, 1, 0, 9] = 1
    layer.offset.kernel.assign(offset)
    row = np.array([1, 0.5, 0, -2], np.float32).reshape(1, 1, 4, 1)
    # Read at 1, 1.5, 2 and 1: 0.5, 0.25, 0 and 0.5.
    np.testing.assert_allclose(layer(row)[0, 0, :, 0], [1.5, 1, 0.5, 1.5], rtol=1e-6)


def test_offsets_are_float32_under_mixed_precision():
    layer = DeformableConv(4, dtype="mixed_bfloat16")
    layer.build((None, None, None, 3))
    assert layer.offset.compute_dtype == "float32" and layer.compute_dtype == "bfloat16"


def test_weights_are_named_after_what_they_are():
    layer = DeformableConv(4, name="conv1")
    layer.build((None, None, None, 3))
    names = {f"conv1/{name}" for name in ("offset/kernel", "offset/bias", "kernel", "bias")}
    assert {weight.path for weight in layer.weights} == names
