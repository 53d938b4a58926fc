"""Colours as EoMT and Mask2Former change them on ADE20K and Cityscapes: four changes, each for half of the images.

Source: EoMT, datasets/transforms.py, with torchvision's functions; values are not cut to integers in between.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# Largest changes: of the values, of the distance to the mean grey, of the distance to the own grey, as a fraction of
# the colour circle.
BRIGHTNESS, CONTRAST, SATURATION, HUE = 32 / 255, 0.5, 0.5, 18 / 360


def eomt_colors(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with random brightness, contrast, saturation and hue.

    Contrast comes before saturation and hue, or after them, as often.

    Args:
        image: float32 `[H, W, 3]`, RGB 0..255.
        seed: integers `[2]`.

    Returns:
        float32 `[H, W, 3]`, within 0..255.
    """
    coin_seed, change_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    brightens, contrasts, saturates, turns, contrast_first = tf.unstack(
        tf.random.stateless_uniform([5], coin_seed) < 0.5
    )
    by = tf.unstack(tf.random.stateless_uniform([4], change_seed, -1.0, 1.0) * (BRIGHTNESS, CONTRAST, SATURATION, HUE))
    image = _if(brightens, scaled_brightness, image, 1.0 + by[0])
    image = _if(contrasts & contrast_first, scaled_contrast, image, 1.0 + by[1])
    image = _if(saturates, scaled_saturation, image, 1.0 + by[2])
    image = _if(turns, tf.image.adjust_hue, image, by[3])
    return _if(contrasts & ~contrast_first, scaled_contrast, image, 1.0 + by[1])


def scaled_brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """All values times the factor."""
    return tf.clip_by_value(image * factor, 0.0, 255.0)


def scaled_contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """The distance to the mean grey times the factor."""
    mean = tf.reduce_mean(tf.image.rgb_to_grayscale(image))
    return tf.clip_by_value(mean + factor * (image - mean), 0.0, 255.0)


def scaled_saturation(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """The distance of each pixel to its own grey times the factor."""
    grey = tf.image.rgb_to_grayscale(image)
    return tf.clip_by_value(grey + factor * (image - grey), 0.0, 255.0)


def _if(
    happens: tf.Tensor, change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], image: tf.Tensor, amount: tf.Tensor
) -> tf.Tensor:
    return tf.cond(happens, lambda: change(image, amount), lambda: tf.identity(image))
