import colorsys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from tfpanoptic.data.augmentation import eomt_colors
from tfpanoptic.data.augmentation.eomt_colors import scaled_brightness, scaled_contrast, scaled_saturation

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 14, 3)).astype(np.uint8)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.5])
@pytest.mark.parametrize(
    ("ours", "pillow"),
    [
        (scaled_brightness, ImageEnhance.Brightness),
        (scaled_contrast, ImageEnhance.Contrast),
        (scaled_saturation, ImageEnhance.Color),
    ],
)
def test_each_change_is_pillows_but_for_its_rounding(ours, pillow, factor):
    expected = np.asarray(pillow(Image.fromarray(PHOTO)).enhance(factor)).astype(float)
    # Pillow rounds the grey, which is off by a half at most, and cuts the result.
    assert np.abs(ours(tf.constant(PHOTO, tf.float32), factor) - expected).max() < 1.6


def test_the_hue_turns_on_the_colour_circle():
    turned = tf.image.adjust_hue(tf.constant(PHOTO, tf.float32), 0.05).numpy()
    for before, after in zip(PHOTO.reshape(-1, 3), turned.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before / 255)
        expected = np.array(colorsys.hsv_to_rgb((hue + 0.05) % 1, saturation, value)) * 255
        np.testing.assert_allclose(after, expected, atol=0.01)


@pytest.fixture(scope="module")
def changes():
    """What happens to each of 400 images: (name, amount), in its order."""
    happened = []

    def noting(name):
        return lambda image, amount: happened[-1].append((name, float(amount))) or image

    with pytest.MonkeyPatch.context() as patch:
        for name in ("brightness", "contrast", "saturation"):
            patch.setattr(eomt_colors, f"scaled_{name}", noting(name))
        patch.setattr(tf.image, "adjust_hue", noting("hue"))
        for number in range(400):
            happened.append([])
            eomt_colors.eomt_colors(tf.zeros([1, 1, 3]), tf.constant([3, number]))
    return happened


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("brightness", 1 - 32 / 255, 1 + 32 / 255),
        ("contrast", 0.5, 1.5),
        ("saturation", 0.5, 1.5),
        ("hue", -18 / 360, 18 / 360),
    ],
)
def test_a_change_happens_to_half_of_the_images_within_its_bounds(changes, name, low, high):
    amounts = [amount for image in changes for change, amount in image if change == name]
    assert abs(len(amounts) - 200) < 50  # five standard deviations
    margin = (high - low) / 20
    assert low <= min(amounts) < low + margin and high - margin < max(amounts) <= high


def test_contrast_comes_before_saturation_and_hue_or_after_them(changes):
    orders = [[name for name, _ in image if name != "brightness"] for image in changes]
    first, last = orders.count(["contrast", "saturation", "hue"]), orders.count(["saturation", "hue", "contrast"])
    assert min(first, last) > 5  # a sixteenth of 400 each
    assert sum(len(order) == 3 for order in orders) == first + last
    assert all(image[0][0] == "brightness" for image in changes if any(name == "brightness" for name, _ in image))


def test_values_stay_within_0_to_255():
    photo = tf.constant(PHOTO, tf.float32)
    data = tf.data.Dataset.range(30).map(lambda n: eomt_colors.eomt_colors(photo, tf.stack([3, n])))
    views = np.array(list(data.as_numpy_iterator()))
    assert views.min() >= 0 and views.max() <= 255
    assert len({view.tobytes() for view in views}) > 20
