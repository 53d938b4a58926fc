"""Random scale, crop, flip, quarter turn and colour of an image and its panoptic map, on one sampling grid.

Resizing, cropping and mirroring along an axis are one list of source coordinates for its rows and one for its
columns. The image is interpolated there and the map takes the nearest pixel, so a label that was not there
cannot appear, and only pixels that stay are computed.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfpanoptic.data.augmentation.color import changed_colors, changes_colors
from tfpanoptic.data.augmentation.geometry import orientation, random_scale, random_size, source_coordinates, transposed
from tfpanoptic.data.augmentation.resampling import padded, view
from tfpanoptic.settings.augmentation import AugmentConfig


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
        size: (height, width) that the image has at scale 1, its own by default; `config.short_sides` overrule it.
        align_corners: grid of the resize: aligned corners, or half-pixel centres.

    Returns:
        float32 `[h, w, 3]` and int32 `[h, w]` of the crop's size, the view in the top-left part, then 0
        and void; int32 `[2]`, (height, width) of the view.

    Source: order of scale, crop and flip: DeepLab2, data/preprocessing/input_preprocessing.py. It pads at a random
    side; here the view stays at the top left, so that `valid_size` says where it is. Quarter turns, the colour
    changes and their order (saturation and hue, contrast, brightness): own choice.
    """
    # A seed stays what it is when others follow: what is resumed goes on with the same views.
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 7))
    transpose, flips = orientation(seeds[0], seeds[1], config)
    image, panoptic = transposed(image, panoptic, transpose)
    own = tf.unstack(tf.shape(panoptic))
    if config.short_sides is not None:
        size = random_size(own, seeds[5], config)
    elif size is None:
        size = own
    else:
        size = tf.unstack(tf.where(transpose, tf.stack(size[::-1]), tf.stack(size)))
    scale, corner = random_scale(seeds[2], config), tf.random.stateless_uniform([2], seeds[3])
    rows, columns = (
        source_coordinates(own[axis], size[axis], scale, config.crop[axis], corner[axis], flips[axis], align_corners)
        for axis in (0, 1)
    )
    image, panoptic = view(image, panoptic, rows, columns, config.crop)
    valid_size = tf.stack([tf.size(rows), tf.size(columns)])
    if changes_colors(config):
        image = padded(changed_colors(image[: valid_size[0], : valid_size[1]], seeds[4], config), config.crop)
    return image, panoptic, valid_size
