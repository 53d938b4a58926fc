"""Random orientation, scale and place of a view, as source coordinates of its rows and of its columns."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfpanoptic.settings.augmentation import AugmentConfig
from tfpanoptic.settings.sizes import InputPolicy, resized_size


def orientation(flip_seed: tf.Tensor, turn_seed: tf.Tensor, config: AugmentConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether to transpose, bool `[]`, and then to mirror vertically and horizontally, bool `[2]`."""
    coins = tf.random.stateless_uniform([2], flip_seed) < 0.5
    flips = tf.logical_and(coins, [config.flip_vertical, config.flip_horizontal])
    if not config.quarter_turns:
        return tf.constant(False), flips
    turns = tf.random.stateless_uniform([], turn_seed, 0, 4, tf.int32)
    # A quarter turn is a transposition and one mirroring, two quarter turns are two mirrorings.
    turned = tf.stack([(turns == 1) | (turns == 2), turns >= 2])
    return turns % 2 == 1, tf.math.logical_xor(flips, turned)


def transposed(image: tf.Tensor, panoptic: tf.Tensor, transpose: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The image and its map, rows and columns exchanged if `transpose`."""
    return tf.cond(
        transpose,
        lambda: (tf.transpose(image, (1, 0, 2)), tf.transpose(panoptic)),
        lambda: (tf.identity(image), tf.identity(panoptic)),
    )


def random_size(own: Any, seed: tf.Tensor, config: AugmentConfig) -> tuple[Any, Any]:
    """(height, width) at scale 1 of an image of size `own`, whose shorter side is a random one of `short_sides`.

    Source: Detectron2, ResizeShortestEdge with the style "choice".
    """
    short_side = _random_one(tf.constant(config.short_sides), seed)
    policy: Any = InputPolicy(short_side=short_side, max_long_side=config.max_long_side)
    return resized_size(own[0], own[1], policy)


def random_scale(seed: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """Random scale, float32 `[]`.

    Source: steps: DeepLab2, data/preprocessing/preprocess_utils.py.
    """
    if config.scale_steps is not None:
        return _random_one(tf.linspace(config.min_scale, config.max_scale, config.scale_steps + 1), seed)
    if config.scale_distribution == "log":
        low, high = math.log(config.min_scale), math.log(config.max_scale)
        return tf.exp(low + (high - low) * tf.random.stateless_uniform([], seed))
    low, high = config.min_scale, config.max_scale
    return low + (high - low) * tf.random.stateless_uniform([], seed)


def _random_one(values: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return values[tf.random.stateless_uniform([], seed, 0, values.shape[0], tf.int32)]


def source_coordinates(
    own: tf.Tensor, size: tf.Tensor, scale: tf.Tensor, crop: int, corner: tf.Tensor, flip: tf.Tensor, aligned: bool
) -> tf.Tensor:
    """Coordinate in the image, float32 `[v]`, of each of the view's rows (or columns); v is at most `crop`.

    Args:
        own: length of the axis in the image.
        size: its length at scale 1.
        scale: the random scale.
        crop: length of the crop.
        corner: 0..1, where the view begins.
        flip: whether it is mirrored.
        aligned: aligned corners, else half-pixel centres.
    """
    scaled = tf.maximum(tf.cast(tf.floor(tf.cast(size, tf.float32) * scale + 0.5), tf.int32), 1)
    valid = tf.minimum(scaled, crop)
    start = tf.cast(corner * tf.cast(scaled - valid + 1, tf.float32), tf.int32)
    position = tf.cast(tf.range(valid) + tf.minimum(start, scaled - valid), tf.float32)
    own_length, scaled_length = tf.cast(own, tf.float32), tf.cast(scaled, tf.float32)
    if aligned:
        source = position * ((own_length - 1) / tf.maximum(scaled_length - 1, 1))
    else:
        source = (position + 0.5) * (own_length / scaled_length) - 0.5
    source = tf.clip_by_value(source, 0.0, own_length - 1)
    return tf.where(flip, tf.reverse(source, [0]), source)
