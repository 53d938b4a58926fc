"""Training targets of Panoptic-DeepLab and Axial-DeepLab.

Every instance becomes a Gaussian at its mass centre, and every pixel of it points there. The centre
is that of the mask as it is here: after augmentation and cropping.

Source: Cheng et al. 2020, sections 3.2 and 3.3, in the form of DeepLab2's `data/sample_generator.py`
(centres rounded to pixels, half to even; window of 6 sigma + 3 pixels).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfpanoptic.compiled import compiled
from tfpanoptic.targets.segments import pixel_maps, segments_of, semantic_columns


def panoptic_deeplab_targets(
    panoptic: tf.Tensor,
    thing_ids: Sequence[int],
    sigma: float = 8.0,
    small_instance_area: int = 4096,
    small_instance_weight: float = 3.0,
    crowd_in_semantic: bool = True,
) -> dict[str, tf.Tensor]:
    """Targets and per-pixel loss weights of one image.

    Args:
        panoptic: int32 `[H, W]`, a panoptic map; 0 is void, a thing with instance 0 a crowd.
        thing_ids: category ids of the things.
        sigma: of the Gaussians, in pixels.
        small_instance_area: instances below this many pixels get `small_instance_weight`.
        small_instance_weight: weight of their pixels in the semantic loss; all others have 1.
        crowd_in_semantic: whether crowds teach the semantic head; if not, they are ignored there too.

    Returns:
        `semantic` int32 `[H, W]`, category id, 0 where ignored
        `semantic_weight` float32 `[H, W]`
        `center_heatmap` float32 `[H, W]`, 0..1
        `center_weight` float32 `[H, W]`, 0 on void and crowds
        `center_offset` float32 `[H, W, 2]`, (dy, dx) in pixels to the instance's centre, 0 elsewhere
        `offset_weight` float32 `[H, W]`, 1 on instances
    """
    height, width = tf.unstack(tf.shape(panoptic))
    segments = segments_of(panoptic, thing_ids)
    columns = {
        **semantic_columns(segments, small_instance_area, small_instance_weight, crowd_in_semantic),
        "center_weight": tf.cast((segments.labels != 0) & ~segments.is_crowd, tf.float32),
        "offset_weight": tf.cast(segments.is_instance, tf.float32),
    }
    *maps, y, x = pixel_maps(panoptic, segments, *columns.values(), *tf.unstack(segments.centers, axis=1))
    targets = dict(zip(columns, maps, strict=True))
    return {
        **targets,
        "center_heatmap": gaussian_peaks(tf.boolean_mask(segments.centers, segments.is_instance), height, width, sigma),
        "center_offset": _offsets(y, x, targets["offset_weight"], pixels=tf.TensorShape(panoptic.shape).num_elements()),
    }


@compiled
def _offsets(y: tf.Tensor, x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """float32 `[H, W, 2]`, from each pixel to its segment's centre at (y, x), int32 `[H, W]`; 0 where the weight is."""
    height, width = tf.unstack(tf.shape(weight))
    down, across = y - tf.range(height)[:, None], x - tf.range(width)
    return tf.cast(tf.stack([down, across], axis=-1), tf.float32) * weight[..., None]


def gaussian_peaks(centers: tf.Tensor, height: tf.Tensor, width: tf.Tensor, sigma: float) -> tf.Tensor:
    """Heatmap with a Gaussian of height 1 at each centre; where they overlap the larger value stays.

    Args:
        centers: int32 `[N, 2]`, (y, x) inside the image.
        height, width: of the heatmap in pixels.
        sigma: in pixels; the window reaches 3 sigma + 1 pixels to each side, and is 0 beyond.

    Returns:
        float32 `[height, width]`.
    """
    reach = int(3 * sigma) + 1
    steps = np.arange(-reach, reach + 1)
    square = steps[:, None] ** 2 + steps[None, :] ** 2
    patch = np.exp(-square / (2.0 * sigma**2)).astype(np.float32).reshape(-1)  # [P]

    # On a canvas with a margin of `reach` no patch needs clipping.
    canvas_height, canvas_width = height + 2 * reach, width + 2 * reach
    corner = centers[:, 0] * canvas_width + centers[:, 1]  # [N]
    window = tf.range(2 * reach + 1)
    place = corner[:, None] + tf.reshape(window[:, None] * canvas_width + window[None, :], [1, -1])  # [N, P]
    values = tf.broadcast_to(patch, tf.shape(place))
    peaks = tf.math.unsorted_segment_max(
        tf.reshape(values, [-1]), tf.reshape(place, [-1]), canvas_height * canvas_width
    )
    canvas = tf.reshape(tf.maximum(peaks, 0.0), [canvas_height, canvas_width])
    return canvas[reach : reach + height, reach : reach + width]
