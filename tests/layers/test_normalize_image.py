import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.layers.normalize_image import NormalizeImage


def image_of(values):
    """[1, H, W, 3] of grey pixels."""
    return np.repeat(np.asarray(values, "float32")[None, ..., None], 3, axis=-1)


def test_symmetric_maps_0_and_255_to_minus_one_and_one():
    result = NormalizeImage("symmetric")(image_of([[0, 127.5, 255]]), np.array([[1, 3]], "int32"))
    np.testing.assert_allclose(result[0, 0, :, 0], [-1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("mode", NormalizeImage.MODES)
@pytest.mark.parametrize("padding", [0.0, 40.0, 127.5, np.nan])
def test_what_the_padding_holds_does_not_matter(mode, padding):
    rng = np.random.default_rng(1)
    images = rng.uniform(0, 255, (2, 5, 7, 3)).astype("float32")
    sizes = np.array([[5, 4], [3, 7]], "int32")
    padded = images.copy()
    padded[0, :, 4:] = padded[1, 3:] = padding
    result = np.asarray(NormalizeImage(mode)(padded, sizes))
    # Black: -123.675 / 58.395 of the red channel and so on.
    expected = [-2.117904, -2.035714, -1.804444] if mode == "imagenet" else [0, 0, 0]
    np.testing.assert_allclose(result[0, :, 4:], np.broadcast_to(expected, (5, 3, 3)), atol=1e-5)
    np.testing.assert_allclose(result[1, 3:], np.broadcast_to(expected, (2, 7, 3)), atol=1e-5)
    for i, (height, width) in enumerate(sizes):
        alone = NormalizeImage(mode)(images[i : i + 1, :height, :width], sizes[i : i + 1])[0]
        np.testing.assert_allclose(result[i, :height, :width], alone, atol=1e-6)


def test_symmetric_padded_with_its_middle_value_is_the_plain_formula():
    image = np.random.default_rng(2).uniform(0, 255, (1, 5, 7, 3)).astype("float32")
    image[:, 3:] = 127.5
    result = NormalizeImage("symmetric")(image, np.array([[3, 7]], "int32"))
    np.testing.assert_array_equal(result, image / np.float32(127.5) - 1)


def test_imagenet_mean_is_subtracted_in_the_order_red_green_blue_and_padding_is_0():
    image = np.array([[[[123.675, 116.28, 103.53], [124.675, 118.28, 106.53], [123.675, 0, 255]]]], "float32")
    result = NormalizeImage("imagenet_mean")(image, np.array([[1, 2]], "int32"))
    np.testing.assert_allclose(result[0, 0], [[0, 0, 0], [1, 2, 3], [0, 0, 0]], atol=1e-5)


def test_per_image_uses_the_valid_pixels_only_and_zeroes_the_rest():
    # Valid: 10 and 30, mean 20, deviation 10.
    image = image_of([[10, 30, 127.5], [200, 200, 127.5]])
    result = NormalizeImage("per_image")(image, np.array([[1, 2]], "int32"))
    np.testing.assert_allclose(result[0, :, :, 0], [[-1, 1, 0], [0, 0, 0]], atol=1e-6)


def test_per_image_keeps_the_ratios_of_the_colours():
    # Red 0 and 4, green and blue 2: mean 2; squares 4, 0, 0, twice; deviation sqrt(8 / 6).
    image = np.array([[[[0, 2, 2], [4, 2, 2]]]], "float32")
    result = NormalizeImage("per_image")(image, np.array([[1, 2]], "int32"))
    side = 2 / np.sqrt(8 / 6)
    np.testing.assert_allclose(result[0, 0], [[-side, 0, 0], [side, 0, 0]], atol=1e-6)


def test_per_image_treats_each_image_by_itself():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (2, 5, 7, 3)).astype("float32")
    sizes = np.array([[5, 7], [3, 4]], "int32")
    layer = NormalizeImage("per_image")
    alone = [layer(images[i : i + 1], sizes[i : i + 1])[0] for i in (0, 1)]
    np.testing.assert_allclose(layer(images, sizes), np.stack(alone), atol=1e-6)


def test_a_flat_image_and_an_empty_one_give_zeros():
    image = np.repeat(image_of(np.full((4, 4), 7.0)), 2, axis=0)
    result = NormalizeImage("per_image")(image, np.array([[4, 4], [0, 0]], "int32"))
    np.testing.assert_array_equal(result, np.zeros((2, 4, 4, 3)))


@pytest.mark.parametrize("mode", NormalizeImage.MODES)
def test_images_stay_float32_under_any_policy(mode):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = NormalizeImage(mode)
        assert layer(image_of([[1, 2]]), np.array([[1, 2]], "int32")).dtype == tf.float32
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("per_image", [-1, 1, 0]),  # mean 20, deviation 10
        ("symmetric", [-0.921569, -0.764706, 0]),  # 10 / 127.5 - 1
        ("imagenet_mean", [-113.675, -93.675, 0]),  # red
        ("imagenet", [-1.946656, -1.604161, -2.117904]),  # divided by 58.395, black at the end
    ],
)
def test_sizes_may_be_known_only_at_run_time(mode, expected):
    layer = NormalizeImage(mode)
    run = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, 2], tf.int32)])
    np.testing.assert_allclose(run(image_of([[10, 30, 7]]), [[1, 2]])[0, 0, :, 0], expected, atol=1e-5)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="imagenet_mean"):
        NormalizeImage("caffe")
