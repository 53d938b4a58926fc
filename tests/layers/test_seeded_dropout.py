import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.layers.seeded_dropout import SeededDropout

SEED = np.array([[1, 2], [1, 3]], np.int32)


def test_a_share_is_dropped_and_the_rest_is_scaled_up():
    dropped = SeededDropout(0.25)(np.ones((2, 50, 50, 4), "float32"), SEED, training=True).numpy()
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    # 10,000 values an image: the deviation of the share is 0.0043.
    np.testing.assert_allclose((dropped == 0).mean(axis=(1, 2, 3)), 0.25, atol=5 * 0.0043)


def test_the_mask_of_an_image_does_not_depend_on_its_batch():
    layer, maps = SeededDropout(0.5), np.ones((2, 7, 9, 3), "float32")
    together = layer(maps, SEED, training=True).numpy()
    assert (together[0] != together[1]).any()
    np.testing.assert_array_equal(layer(maps[1:], SEED[1:], training=True)[0], together[1])


def test_two_layers_of_a_network_drop_other_values():
    maps = np.ones((2, 7, 9, 3), "float32")
    first, second = (SeededDropout(0.5, draw)(maps, SEED, training=True).numpy() for draw in (0, 1))
    assert (first != second).any()


@pytest.mark.parametrize("arguments", [{"training": False}, {"training": None}])
def test_nothing_is_dropped_outside_training(arguments):
    maps = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(SeededDropout(0.5)(maps, SEED, **arguments), maps)
    np.testing.assert_array_equal(SeededDropout(0.5)(maps, training=True), maps)


def test_dropped_values_have_no_gradient_and_the_type_stays():
    layer, maps = SeededDropout(0.5, dtype="mixed_bfloat16"), tf.ones((2, 5, 5, 2), tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        dropped = layer(maps, SEED, training=True)
    assert dropped.dtype == tf.bfloat16
    np.testing.assert_array_equal(tape.gradient(dropped, maps), tf.where(dropped > 0, 2.0, 0.0))


def test_a_functional_model_of_any_size_reloads(tmp_path):
    image, seed = keras.Input((None, None, 2)), keras.Input((2,), dtype="int32")
    model = keras.Model([image, seed], SeededDropout(0.5, draw=3, name="dropout")(image, seed))
    model.save(tmp_path / "dropout.keras")
    maps = np.ones((2, 6, 5, 2), "float32")
    reloaded = keras.models.load_model(tmp_path / "dropout.keras")
    np.testing.assert_array_equal(reloaded([maps, SEED], training=True), model([maps, SEED], training=True))


def test_a_rate_out_of_range_is_an_error():
    with pytest.raises(ValueError, match="0 to below 1, got 1"):
        SeededDropout(1)
