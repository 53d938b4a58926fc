"""Random scale, crop, flip, quarter turn and colour of an image and its panoptic map, on one sampling grid.

Resizing, cropping and mirroring along an axis are one list of source coordinates for its rows and one for its
columns. The image is interpolated there and the map takes the nearest pixel, so a label that was not there
cannot appear, and only pixels that stay are computed.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfpanoptic.settings.augmentation import AugmentConfig

# RGB to luma and the two chroma axes. Source: NTSC YIQ, ITU-R BT.470.
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def augment(
    image: tf.Tensor,
    panoptic: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentConfig,
    size: tuple[Any, Any] | None = None,
    align_corners: bool = True,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A random view of an image with its panoptic map; a function of `seed` alone.

    Args:
        image: uint8 or float32 `[H, W, 3]`, RGB 0..255.
        panoptic: int32 `[H, W]`.
        seed: int32 or int64 `[2]`.
        config: what may happen.
        size: (height, width) that the image has at scale 1; its own by default.
        align_corners: grid of the resize: aligned corners, or half-pixel centres.

    Returns:
        float32 `[h, w, 3]` and int32 `[h, w]` of the crop's size, the view in the top-left part, then 0
        and void; int32 `[2]`, (height, width) of the view.

    Source: order of scale, crop and flip: DeepLab2, data/preprocessing/input_preprocessing.py. It pads at a random
    side; here the view stays at the top left, so that `valid_size` says where it is. Quarter turns, the colour
    changes and their order (saturation and hue, contrast, brightness): own choice.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    transpose, flips = _orientation(seeds[0], seeds[1], config)
    image, panoptic = _transposed(image, panoptic, transpose)
    own = tf.unstack(tf.shape(panoptic))
    size = own if size is None else tf.unstack(tf.where(transpose, tf.stack(size[::-1]), tf.stack(size)))
    scale, corner = _scale(seeds[2], config), tf.random.stateless_uniform([2], seeds[3])
    rows, columns = (
        _source_coordinates(own[axis], size[axis], scale, config.crop[axis], corner[axis], flips[axis], align_corners)
        for axis in (0, 1)
    )
    image = _jitter_color(_bilinear(image, rows, columns), seeds[4], config)
    panoptic = tf.gather(tf.gather(panoptic, _nearest(rows)), _nearest(columns), axis=1)
    valid_size = tf.shape(panoptic)
    bottom, right = tf.unstack(tf.constant(config.crop) - valid_size)
    image = tf.pad(image, [[0, bottom], [0, right], [0, 0]])
    panoptic = tf.pad(panoptic, [[0, bottom], [0, right]])
    return tf.ensure_shape(image, (*config.crop, 3)), tf.ensure_shape(panoptic, config.crop), valid_size


def _orientation(flip_seed: tf.Tensor, turn_seed: tf.Tensor, config: AugmentConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether to transpose, bool `[]`, and then to mirror vertically and horizontally, bool `[2]`."""
    coins = tf.random.stateless_uniform([2], flip_seed) < 0.5
    flips = tf.logical_and(coins, [config.flip_vertical, config.flip_horizontal])
    if not config.quarter_turns:
        return tf.constant(False), flips
    turns = tf.random.stateless_uniform([], turn_seed, 0, 4, tf.int32)
    # A quarter turn is a transposition and one mirroring, two quarter turns are two mirrorings.
    turned = tf.stack([(turns == 1) | (turns == 2), turns >= 2])
    return turns % 2 == 1, tf.math.logical_xor(flips, turned)


def _transposed(image: tf.Tensor, panoptic: tf.Tensor, transpose: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.cond(
        transpose,
        lambda: (tf.transpose(image, (1, 0, 2)), tf.transpose(panoptic)),
        lambda: (tf.identity(image), tf.identity(panoptic)),
    )


def _scale(seed: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """Random scale, float32 `[]`."""
    if config.scale_distribution == "log":
        low, high = math.log(config.min_scale), math.log(config.max_scale)
        return tf.exp(low + (high - low) * tf.random.stateless_uniform([], seed))
    low, high = config.min_scale, config.max_scale
    return low + (high - low) * tf.random.stateless_uniform([], seed)


def _source_coordinates(
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


def _nearest(coordinates: tf.Tensor) -> tf.Tensor:
    """Index of the nearest pixel, int32; of two equally near the later."""
    return tf.cast(tf.floor(coordinates + 0.5), tf.int32)


def _bilinear(image: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """float32 `[v, u, 3]`: the image interpolated at every (row, column)."""
    return _between(_between(image, rows, 0), columns, 1)


def _between(image: tf.Tensor, coordinates: tf.Tensor, axis: int) -> tf.Tensor:
    """The image interpolated along one axis."""
    below = tf.floor(coordinates)
    weight = tf.reshape(coordinates - below, (-1, 1, 1) if axis == 0 else (1, -1, 1))
    first = tf.cast(below, tf.int32)
    second = tf.minimum(first + 1, tf.shape(image)[axis] - 1)
    low = tf.cast(tf.gather(image, first, axis=axis), tf.float32)
    high = tf.cast(tf.gather(image, second, axis=axis), tf.float32)
    return low + (high - low) * weight


def _jitter_color(image: tf.Tensor, seed: tf.Tensor, config: AugmentConfig) -> tf.Tensor:
    """The image with random saturation, hue, contrast and brightness, within 0..255.

    All four are one affine map of the RGB values: chroma is turned and scaled in YIQ, then the distance to the
    mean luma is scaled, then a constant is added.
    """
    strengths = (config.saturation, config.hue, config.contrast, config.brightness)
    if not any(strengths):
        return image
    saturation, hue, contrast, brightness = tf.unstack(tf.random.stateless_uniform([4], seed, -1.0, 1.0) * strengths)
    to_yiq = tf.constant(RGB_TO_YIQ)
    chroma, angle = 1.0 + saturation, 2.0 * math.pi * hue
    cosine, sine = chroma * tf.cos(angle), chroma * tf.sin(angle)
    turn = tf.stack([tf.stack([1.0, 0.0, 0.0]), tf.stack([0.0, cosine, -sine]), tf.stack([0.0, sine, cosine])])
    matrix = tf.linalg.inv(to_yiq) @ turn @ to_yiq
    mean = tf.reduce_mean(tf.tensordot(image, to_yiq[0], 1))
    image = tf.tensordot(image, tf.transpose(matrix), 1)
    return tf.clip_by_value((image - mean) * (1.0 + contrast) + mean + 255.0 * brightness, 0.0, 255.0)
