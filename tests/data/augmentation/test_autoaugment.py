import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tfpanoptic.data.augmentation import autoaugment
from tfpanoptic.data.augmentation.autoaugment import POLICY, brightness, color, contrast, equalize, sharpness, solarize

# Those of the policy: magnitude * 0.2 / 10 * 1.8 + 0.1 for 1, 7, 9 and 10.
FACTORS = (0.136, 0.352, 0.424, 0.46)


def photo(height: int, width: int, number: int = 0) -> np.ndarray:
    """Few dark values and many near 90, as equalizing needs them."""
    random = np.random.default_rng(number)
    return np.clip(random.normal(90, 25, (height, width, 3)), 0, 230).astype(np.uint8)


def differences(ours, pillow: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(ours).astype(int) - np.asarray(pillow))


@pytest.mark.parametrize("factor", FACTORS)
def test_brightness_is_pillows(factor):
    image = photo(20, 30)
    pillow = ImageEnhance.Brightness(Image.fromarray(image)).enhance(factor)
    np.testing.assert_array_equal(brightness(tf.constant(image), factor), pillow)


@pytest.mark.parametrize("size", [(20, 30), (300, 320), (1, 5)])
def test_equalize_is_pillows(size):
    image = photo(*size)
    np.testing.assert_array_equal(equalize(tf.constant(image)), ImageOps.equalize(Image.fromarray(image)))


def test_equalize_leaves_one_colour_as_it_is():
    image = np.full((20, 30, 3), (0, 7, 255), np.uint8)
    np.testing.assert_array_equal(equalize(tf.constant(image)), image)


def test_solarize_is_pillows():
    image = photo(20, 30)
    np.testing.assert_array_equal(solarize(tf.constant(image), 35), ImageOps.solarize(Image.fromarray(image), 35))


@pytest.mark.parametrize("factor", FACTORS)
def test_color_is_pillows_where_pillow_does_not_round(factor):
    image = photo(20, 30)
    found = differences(color(tf.constant(image), factor), ImageEnhance.Color(Image.fromarray(image)).enhance(factor))
    assert found.max() <= 1 and 0 < found.mean() < 0.6


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("size", [(20, 30), (3, 3), (2, 4), (1, 1)])
def test_sharpness_is_pillows_where_pillow_does_not_round(factor, size):
    image = photo(*size)
    pillow = ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor)
    assert differences(sharpness(tf.constant(image), factor), pillow).max() <= 1


def test_values_are_cut_to_integers():
    image = np.array([[[10, 99, 255]]], np.uint8)
    # Grey of the colour: 0.2989 * 10 + 0.587 * 99 + 0.114 * 255 = 90.17, as TensorFlow rounds it 90.
    # 90 + 0.46 * (10 - 90) = 53.2, 90 + 0.46 * 9 = 94.14, 90 + 0.46 * 165 = 165.9.
    assert color(tf.constant(image), 0.46).numpy().tolist() == [[[53, 94, 165]]]
    # 0.46 * 10 = 4.6, 0.46 * 99 = 45.54, 0.46 * 255 = 117.3.
    assert brightness(tf.constant(image), 0.46).numpy().tolist() == [[[4, 45, 117]]]
    # Mean of the middle: (5 * 100 + 8 * 10) / 13 = 44.6, cut to 44; 44 + 0.352 * (100 - 44) = 63.7.
    spot = np.full((3, 3, 3), 10, np.uint8)
    spot[1, 1] = 100
    sharpened = sharpness(tf.constant(spot), 0.352).numpy()
    assert sharpened[1, 1].tolist() == [63] * 3
    assert np.delete(sharpened.reshape(9, 3), 4, axis=0).tolist() == [[10] * 3] * 8


def test_contrast_has_the_grey_of_the_number_of_pixels():
    # 64 x 64 pixels / 256 = 16; 16 + 0.46 * (100 - 16) = 54.64.
    assert (contrast(tf.fill([64, 64, 3], tf.constant(100, tf.uint8)), 0.46).numpy() == 54).all()
    # 300 x 300 / 256 = 351.6, at most 255; 255 + 0.46 * (100 - 255) = 183.7.
    assert (contrast(tf.fill([300, 300, 3], tf.constant(100, tf.uint8)), 0.46).numpy() == 183).all()


def test_the_policy_has_the_published_operations_probabilities_and_magnitudes():
    # The policy of DeepLab2 as six numbers a pair, of twice (operation, probability, magnitude), in its lists.
    numbers = [8, 2, 7, 7, 1, 10, 1, 0, 9, 6, 1, 10, 8, 1, 9, 5, 1, 9, 4, 1, 7, 1, 3, 9, 8, 1, 1, 1, 1, 7]
    operations = {1: equalize, 4: solarize, 5: color, 6: contrast, 7: brightness, 8: sharpness}
    image = tf.constant(photo(12, 12))
    steps = [step for pair in POLICY for step in pair]
    for step, (operation, probability, magnitude) in zip(steps, np.reshape(numbers, (10, 3)).tolist(), strict=True):
        assert step.probability == [0, 0.2, 0.4, 0.6, 0.8, 1.0][probability]
        level = magnitude * 0.2 / 10
        arguments = {1: (), 4: (int(level * 256),)}.get(operation, (level * 1.8 + 0.1,))
        np.testing.assert_array_equal(step.operation(image), operations[operation](image, *arguments))


def test_pairs_are_drawn_equally_and_steps_by_their_probability(monkeypatch):
    # Each step adds a power of two of its own, so the sum says which happened.
    def adding(amount):
        return lambda image: image + tf.constant(amount, tf.uint8)

    pairs = [(autoaugment.Step(adding(1), 0.4), autoaugment.Step(adding(2), 0.6))]
    pairs += [(autoaugment.Step(adding(4 * k), 1.0), autoaugment.Step(adding(1), 0.0)) for k in (1, 2, 3, 4)]
    monkeypatch.setattr(autoaugment, "POLICY", tuple(pairs))
    black = tf.zeros([1, 1, 3])
    data = tf.data.Dataset.range(1000).map(lambda n: autoaugment.autoaugment(black, tf.stack([3, n]))[0, 0, 0])
    found = np.bincount(np.array(list(data.as_numpy_iterator()), int), minlength=17)
    assert found[[4, 8, 12, 16]].sum() + found[:4].sum() == 1000
    # 1000 draws of a fifth: five standard deviations are 63.
    assert np.abs(found[[4, 8, 12, 16]] - 200).max() < 63
    # Of about 200: neither 0.24, the first 0.16, the second 0.36, both 0.24; five standard deviations are at most 0.17.
    assert np.abs(found[:4] / found[:4].sum() - [0.24, 0.16, 0.36, 0.24]).max() < 0.17


def test_values_are_cut_even_where_nothing_happens():
    image = tf.random.stateless_uniform([8, 9, 3], [1, 2], 0, 255)
    views = [autoaugment.autoaugment(image, tf.constant([5, n])).numpy() for n in range(12)]
    assert all((view == np.floor(view)).all() and view.min() >= 0 and view.max() <= 255 for view in views)
    assert any((view == np.floor(image)).all() for view in views)
