"""Training targets of DeeperLab: the keypoints of every instance, and the disks around them.

An instance has five keypoints: the corners of its box and its mass centre. The heatmap of a keypoint is 1 in the disk
around it. All offsets follow from three small tensors (which instance is at a pixel, whose disk it lies in, where the
keypoints are), so that the losses make them where they are needed: written out, they have 36 channels at input size.

Source: Yang et al. 2019, section 3.3, as far as it says. Own choices: the corners are the outermost pixels; centres are
rounded to pixels; where disks of one keypoint overlap, a pixel belongs to the nearest (Papandreou et al. 2018,
PersonLab); of too many instances the largest stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfpanoptic.targets.segments import MapSegments, pixel_maps, segments_of, semantic_columns


def deeperlab_targets(
    panoptic: tf.Tensor,
    thing_ids: Sequence[int],
    radius: int = 25,
    max_instances: int = 200,
    small_instance_area: int = 4096,
    small_instance_weight: float = 3.0,
    crowd_in_semantic: bool = True,
) -> dict[str, tf.Tensor]:
    """Targets and per-pixel loss weights of one image.

    Args:
        panoptic: int32 `[H, W]`, a panoptic map; 0 is void, a thing with instance 0 a crowd.
        thing_ids: category ids of the things.
        radius: of the disks, in pixels.
        max_instances: N; the pixels of smaller instances beyond them teach the semantic head alone.
        small_instance_area, small_instance_weight, crowd_in_semantic: see `targets.segments.semantic_columns`.

    Returns:
        `semantic` int32 `[H, W]`, category id, 0 where ignored
        `semantic_weight` float32 `[H, W]`
        `keypoints` int32 `[N, 5, 2]`, (y, x) of top left, top right, bottom left, bottom right and centre; 0 in empty
            places
        `instance` int32 `[H, W]`, place of the instance at each pixel, -1 without one
        `disk` int32 `[H, W, 5]`, place of the instance whose keypoint is the nearest within the radius, -1 without one
        `keypoint_weight` float32 `[H, W]`, 0 on void, on crowds and on instances that have no place
    """
    size = tf.shape(panoptic)
    segments = segments_of(panoptic, thing_ids)
    chosen = _largest(segments, max_instances)
    keypoints = tf.gather(_keypoints(segments), chosen)  # [n, 5, 2]
    places = tf.tensor_scatter_nd_update(
        tf.fill(tf.shape(segments.labels), -1), chosen[:, None], tf.range(tf.size(chosen))
    )
    left_out = segments.is_crowd | (segments.is_instance & (places < 0)) | (segments.labels == 0)

    columns = {
        **semantic_columns(segments, small_instance_area, small_instance_weight, crowd_in_semantic),
        "instance": places,
        "keypoint_weight": tf.cast(~left_out, tf.float32),
    }
    padded = tf.pad(keypoints, [[0, max_instances - tf.size(chosen)], [0, 0], [0, 0]])
    return {
        **dict(zip(columns, pixel_maps(panoptic, segments, *columns.values()), strict=True)),
        "keypoints": tf.ensure_shape(padded, (max_instances, 5, 2)),
        "disk": tf.reshape(nearest_disks(keypoints, size[0], size[1], radius), [size[0], size[1], 5]),
    }


def _largest(segments: MapSegments, count: int) -> tf.Tensor:
    """The `count` largest instances, numbers of segments; the earlier of equal ones."""
    areas = tf.where(segments.is_instance, segments.areas, -1)
    order = tf.argsort(areas, direction="DESCENDING", stable=True)[:count]
    return tf.boolean_mask(order, tf.gather(segments.is_instance, order))


def _keypoints(segments: MapSegments) -> tf.Tensor:
    """Keypoints of all segments, int32 `[S, 5, 2]`."""
    box = segments.boxes
    top, left, bottom, right = box[:, 0], box[:, 1], box[:, 2] - 1, box[:, 3] - 1
    corners = [tf.stack([y, x], axis=-1) for y in (top, bottom) for x in (left, right)]
    return tf.stack([*corners, segments.centers], axis=1)


def nearest_disks(keypoints: tf.Tensor, height: tf.Tensor, width: tf.Tensor, radius: int) -> tf.Tensor:
    """For each pixel and kind of keypoint the instance whose keypoint is nearest, int32 `[height, width, K]`.

    Args:
        keypoints: int32 `[n, K, 2]`, (y, x) inside the image.
        height, width: of the image.
        radius: of the disks; -1 stands for no keypoint within it. Of equally near ones the first counts.
    """
    kinds = keypoints.shape[1]
    grid = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.int32)
    down, across = grid[:, (grid**2).sum(0) <= radius**2]  # [P] each
    square = down**2 + across**2

    # On a canvas with a margin of the radius no disk needs clipping.
    canvas_height, canvas_width = height + 2 * radius, width + 2 * radius
    row = keypoints[..., 0] + radius + tf.range(kinds) * canvas_height  # [n, K], one canvas below the other
    center = row * canvas_width + keypoints[..., 1] + radius
    place = center[..., None] + down * canvas_width + across  # [n, K, P]
    # Distance and instance in one number.
    count = tf.maximum(tf.shape(keypoints)[0], 1)
    key = square * count + tf.range(tf.shape(keypoints)[0])[:, None]  # [n, P]
    key = tf.broadcast_to(key[:, None], tf.shape(place))
    best = tf.math.unsorted_segment_min(
        tf.reshape(key, [-1]), tf.reshape(place, [-1]), kinds * canvas_height * canvas_width
    )
    nearest = tf.where(best < tf.int32.max, best % count, -1)
    nearest = tf.reshape(nearest, [kinds, canvas_height, canvas_width])
    return tf.transpose(nearest[:, radius : radius + height, radius : radius + width], [1, 2, 0])
