"""Training targets of the top-down architectures: boxes, a map of instances, and the semantic map.

Source: He et al. 2017 (Mask R-CNN), Kirillov et al. 2019 (Panoptic FPN), section 3.1. Instances are those of the
panoptic map: visible, not overlapping; Detectron2 takes COCO's polygons, which may overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfpanoptic.panoptic_map import category_of
from tfpanoptic.targets.segments import pixel_maps, segments_of


def instance_targets(
    panoptic: tf.Tensor, thing_ids: Sequence[int], seed: tf.Tensor, max_instances: int
) -> dict[str, tf.Tensor]:
    """The instances of one image, at most `max_instances`: where there are more, a seeded choice stays.

    Args:
        panoptic: int32 `[H, W]`, a panoptic map; 0 is void, a thing with instance 0 a crowd, which is no instance.
        thing_ids: category ids of the things.
        seed: int32 `[2]`.
        max_instances: N.

    Returns:
        `boxes` float32 `[N, 4]`, (y1, x1, y2, x2) in pixels, tight, the end exclusive; 0 in empty places
        `box_category` int32 `[N]`, 0 in empty places
        `instance_map` int32 `[H, W]`, the place of the instance at each pixel, counted from 1; 0 without one
    """
    segments = segments_of(panoptic, thing_ids)
    labels, is_instance = segments.labels, segments.is_instance
    priority = tf.where(is_instance, tf.random.stateless_uniform(tf.shape(labels), seed), -1.0)
    # Chosen by chance, kept in the order of the map.
    chosen = tf.argsort(priority, direction="DESCENDING", stable=True)[:max_instances]
    chosen = tf.sort(tf.boolean_mask(chosen, tf.gather(is_instance, chosen)))
    number = tf.scatter_nd(chosen[:, None], tf.range(1, tf.size(chosen) + 1), tf.shape(labels))
    missing = max_instances - tf.size(chosen)
    boxes = tf.pad(tf.gather(tf.cast(segments.boxes, tf.float32), chosen), [[0, missing], [0, 0]])
    category = tf.pad(tf.gather(category_of(labels), chosen), [[0, missing]])
    return {
        "boxes": tf.ensure_shape(boxes, (max_instances, 4)),
        "box_category": tf.ensure_shape(category, (max_instances,)),
        "instance_map": pixel_maps(panoptic, segments, number)[0],
    }
