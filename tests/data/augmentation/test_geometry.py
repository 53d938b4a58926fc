import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.data.augmentation.geometry import random_scale, random_size
from tfpanoptic.errors import InputError
from tfpanoptic.settings.augmentation import AugmentConfig
from tfpanoptic.settings.config import validate


def draws(function, count: int) -> np.ndarray:
    """What a function of the seed gives for so many seeds."""
    return np.array(list(tf.data.Dataset.range(count).map(lambda n: function(tf.stack([5, n]))).as_numpy_iterator()))


def test_scales_in_steps_are_those_of_deeplab2_as_often():
    # linspace(0.5, 2.0, int((2.0 - 0.5) / 0.1 + 1)): 16 scales.
    config = AugmentConfig(crop=(8, 8), min_scale=0.5, max_scale=2.0, scale_step=0.1)
    scales, counts = np.unique(draws(lambda seed: random_scale(seed, config), 1600), return_counts=True)
    np.testing.assert_allclose(scales, np.arange(5, 21) / 10, rtol=1e-6)
    assert np.abs(counts - 100).max() < 49  # five standard deviations


def test_one_scale_may_have_a_step():
    config = AugmentConfig(crop=(8, 8), scale_step=0.1)
    assert set(draws(lambda seed: random_scale(seed, config), 5)) == {1.0}


def test_large_scale_jitter_reaches_both_ends():
    config = AugmentConfig(crop=(8, 8), min_scale=0.1, max_scale=2.0)
    scales = draws(lambda seed: random_scale(seed, config), 400)
    assert 0.1 <= scales.min() < 0.15 and 1.95 < scales.max() < 2.0
    assert abs(scales.mean() - 1.05) < 0.14  # 1.9 / sqrt(12 * 400) is 0.027


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        # 640 * 640 / 480 = 853.3 and 640 * 800 / 480 = 1066.7.
        ((480, 640), {(640, 853), (800, 1067)}),
        ((640, 480), {(853, 640), (1067, 800)}),
        # A long side of 640 * 1280 / 512 = 1600 is above 1333, so the short one is 1333 * 512 / 1280 = 533.2.
        ((512, 1280), {(533, 1333)}),
    ],
)
def test_short_sides_are_limited_by_the_long_side(own, expected):
    config = AugmentConfig(crop=(8, 8), short_sides=(640, 800), max_long_side=1333)
    sizes = draws(lambda seed: tf.stack(random_size(tf.unstack(tf.constant(own)), seed, config)), 30)
    assert set(map(tuple, sizes.tolist())) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"short_sides": []}, "short_sides must be one number or more"),
        ({"short_sides": [0]}, "augment.short_sides"),
        ({"max_long_side": 1333}, "max_long_side limits short_sides"),
        ({"max_scale": 2.0, "scale_step": 0.3}, "in whole steps, found 0.3"),
        ({"max_scale": 2.0, "scale_step": 0.1, "scale_distribution": "log"}, "uniform, found log"),
        ({"scale_step": 0}, "augment.scale_step"),
        ({"color_policy": "autoaugment"}, "augment.color_policy"),
        ({"color_policy": "eomt", "hue": 0.1, "contrast": 0.1}, "takes the place of contrast and hue"),
        ({"copy_paste": {"probability": 0}}, "augment.copy_paste.probability"),
        ({"copy_paste": {"instances": 5}}, "augment.copy_paste.instances"),
    ],
)
def test_a_wrong_configuration_is_told_in_one_line(settings, message):
    with pytest.raises(InputError, match=message):
        validate(AugmentConfig, {"crop": [8, 8], **settings}, "a.yaml", "augment")
