"""Random colours of an image: saturation, hue, contrast and brightness, or a published policy."""

from __future__ import annotations

import math

import tensorflow as tf

from tfpanoptic.data.augmentation.autoaugment import autoaugment
from tfpanoptic.data.augmentation.eomt_colors import eomt_colors
from tfpanoptic.settings.augmentation import AugmentConfig

# RGB to luma and the two chroma axes. Source: NTSC YIQ, ITU-R BT.470.
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def changes_colors(config: AugmentConfig) -> bool:
    """Whether the configuration has anything for colours."""
    return config.color_policy is not None or any(_strengths(config))


def _strengths(config: AugmentConfig) -> tuple[float, ...]:
    return config.saturation, config.hue, config.contrast, config.brightness


def changed_colors(image: tf.Tensor, seed: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """The image, float32 `[H, W, 3]`, 0..255, with the random colours of the configuration."""
    if config.color_policy == "eomt":
        return eomt_colors(image, seed)
    if config.color_policy is not None:
        return autoaugment(image, seed)
    return jitter_color(image, seed, config)


def jitter_color(image: tf.Tensor, seed: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """The image with random saturation, hue, contrast and brightness, within 0..255.

    All four are one affine map of the RGB values: chroma is turned and scaled in YIQ, then the distance to the
    mean luma is scaled, then a constant is added.
    """
    strengths = tf.random.stateless_uniform([4], seed, -1.0, 1.0) * _strengths(config)
    saturation, hue, contrast, brightness = tf.unstack(strengths)
    to_yiq = tf.constant(RGB_TO_YIQ)
    chroma, angle = 1.0 + saturation, 2.0 * math.pi * hue
    cosine, sine = chroma * tf.cos(angle), chroma * tf.sin(angle)
    turn = tf.stack([tf.stack([1.0, 0.0, 0.0]), tf.stack([0.0, cosine, -sine]), tf.stack([0.0, sine, cosine])])
    matrix = tf.linalg.inv(to_yiq) @ turn @ to_yiq
    mean = tf.reduce_mean(tf.tensordot(image, to_yiq[0], 1))
    image = tf.tensordot(image, tf.transpose(matrix), 1)
    return tf.clip_by_value((image - mean) * (1.0 + contrast) + mean + 255.0 * brightness, 0.0, 255.0)
