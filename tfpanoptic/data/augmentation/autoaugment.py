"""DeepLab2's colour policy: one of five pairs of operations on uint8 pixels, each with a probability.

Source: Cubuk et al. 2019, AutoAugment, in its TensorFlow form; the policy is that of DeepLab2,
data/preprocessing/autoaugment_policy.py, `simple_classification_policy_magnitude_scale_0.2`. The operations are named
after Pillow's and give what those give but for `contrast`, and for greys and means that are cut to integers where
Pillow rounds. Where an exact mean is an integer, DeepLab2's floating-point numbers may fall one below.

DeepLab2 looks at the whole scaled image, before the crop. Here only the view is computed: that is what `equalize`
counts, and its border is what `sharpness` leaves as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

# Magnitudes go from 0 to 10; the policy scales them.
MAGNITUDE_SCALE = 0.2


def autoaugment(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image after a random one of `POLICY`.

    Args:
        image: float32 `[H, W, 3]`, RGB 0..255; cut to integers first.
        seed: integers `[2]`.

    Returns:
        float32 `[H, W, 3]`, integers.
    """
    pair_seed, coin_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    coins = tf.unstack(tf.random.stateless_uniform([2], coin_seed))
    pixels = tf.cast(image, tf.uint8)

    def both(pair: tuple[Step, Step]) -> tf.Tensor:
        changed = pixels
        for step, coin in zip(pair, coins, strict=True):
            changed = step.maybe(changed, coin)
        return changed

    number = tf.random.stateless_uniform([], pair_seed, 0, len(POLICY), tf.int32)
    changed = tf.switch_case(number, [lambda pair=pair: both(pair) for pair in POLICY])
    return tf.cast(tf.ensure_shape(changed, image.shape), tf.float32)


def sharpness(image: tf.Tensor, factor: float) -> tf.Tensor:
    """Blended with its mean over 3 x 3 pixels, the middle one counted five times; the border stays as it is."""
    small = tf.reduce_min(tf.shape(image)[:2]) < 3
    return tf.cond(small, lambda: tf.identity(image), lambda: _blend(_smoothed(image), image, factor))


def _smoothed(image: tf.Tensor) -> tf.Tensor:
    values = tf.cast(image, tf.float32)
    rows = values[:-2] + values[1:-1] + values[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4.0 * values[1:-1, 1:-1]
    # Totals are integers: with half a unit more, no quotient that is one falls below it.
    change = tf.floor((total + 0.5) / 13.0) - values[1:-1, 1:-1]
    return values + tf.pad(change, [[1, 1], [1, 1], [0, 0]])


def brightness(image: tf.Tensor, factor: float) -> tf.Tensor:
    """Blended with black."""
    return _blend(tf.zeros([], tf.uint8), image, factor)


def contrast(image: tf.Tensor, factor: float) -> tf.Tensor:
    """Blended with one grey: a 256th of the number of pixels, at most 255.

    Pillow takes the mean grey. AutoAugment's TensorFlow form divides the sum of the histogram by 256, and that sum is
    the number of pixels; so an image of 65,280 pixels or more becomes whiter. It is what the published models saw.
    """
    grey = tf.minimum(tf.shape(image)[0] * tf.shape(image)[1] // 256, 255)
    return _blend(grey, image, factor)


def color(image: tf.Tensor, factor: float) -> tf.Tensor:
    """Blended with its grey values."""
    return _blend(tf.image.rgb_to_grayscale(image), image, factor)


def solarize(image: tf.Tensor, threshold: int) -> tf.Tensor:
    """Values from the threshold on inverted."""
    return tf.where(image < threshold, image, 255 - image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Each channel with as even a histogram as a table of values gives."""
    return tf.stack([_equalized(channel) for channel in tf.unstack(tf.cast(image, tf.int32), axis=-1)], -1)


def _equalized(values: tf.Tensor) -> tf.Tensor:
    histogram = tf.math.bincount(tf.reshape(values, [-1]), minlength=256)
    step = (tf.size(values) - histogram[tf.reduce_max(values)]) // 255
    before = tf.cumsum(histogram, exclusive=True)
    table = tf.clip_by_value((before + step // 2) // tf.maximum(step, 1), 0, 255)
    return tf.gather(tf.cast(tf.where(step == 0, tf.range(256), table), tf.uint8), values)


def _blend(degenerate: tf.Tensor, image: tf.Tensor, factor: float) -> tf.Tensor:
    """From `degenerate` (factor 0) to the image (factor 1), cut to integers."""
    degenerate, values = tf.cast(degenerate, tf.float32), tf.cast(image, tf.float32)
    return tf.cast(degenerate + factor * (values - degenerate), tf.uint8)


class Step(NamedTuple):
    """One operation of a pair: uint8 `[H, W, 3]` -> the same, and how often it happens."""

    operation: Callable[[tf.Tensor], tf.Tensor]
    probability: float

    def maybe(self, image: tf.Tensor, coin: tf.Tensor) -> tf.Tensor:
        """The image, changed if the coin, 0..1, is below the probability."""
        return tf.cond(coin < self.probability, lambda: self.operation(image), lambda: tf.identity(image))


def _enhanced(operation: Callable[[tf.Tensor, float], tf.Tensor], magnitude: int) -> Callable[[tf.Tensor], tf.Tensor]:
    factor = magnitude * MAGNITUDE_SCALE / 10 * 1.8 + 0.1
    return lambda image: operation(image, factor)


def _solarized(magnitude: int) -> Callable[[tf.Tensor], tf.Tensor]:
    threshold = int(magnitude * MAGNITUDE_SCALE / 10 * 256)
    return lambda image: solarize(image, threshold)


# The five pairs, each as likely.
POLICY = (
    (Step(_enhanced(sharpness, 7), 0.4), Step(_enhanced(brightness, 10), 0.2)),
    (Step(equalize, 0.0), Step(_enhanced(contrast, 10), 0.2)),
    (Step(_enhanced(sharpness, 9), 0.2), Step(_enhanced(color, 9), 0.2)),
    (Step(_solarized(7), 0.2), Step(equalize, 0.6)),
    (Step(_enhanced(sharpness, 1), 0.2), Step(equalize, 0.2)),
)
