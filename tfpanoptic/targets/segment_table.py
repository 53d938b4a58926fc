"""Training targets of mask transformers: a table of the segments, and a map of their places.

A mask a segment would be as large as the image each. The map says the same, for segments do not overlap: the mask of a
place is where the map has its number.

Source: Cheng et al. 2022 (Mask2Former), section 3.3: each segment, thing or stuff, is one mask with one category; void
and crowds belong to none. Own choice: a table of fixed length, the smallest segments are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfpanoptic.panoptic_map import VOID, category_of
from tfpanoptic.targets.segments import pixel_maps, segments_of


def segment_targets(
    panoptic: tf.Tensor, thing_ids: Sequence[int], seed: tf.Tensor, max_segments: int
) -> dict[str, tf.Tensor]:
    """The segments of one image, the `max_segments` largest where there are more, in the order of their first pixels.

    Args:
        panoptic: int32 `[H, W]`, a panoptic map; 0 is void, as padding is; a thing with instance 0 a crowd.
        thing_ids: category ids of the things.
        seed: int32 `[2]`, of the image.
        max_segments: M.

    Returns:
        `segment_map` int32 `[H, W]`, the place of the segment at each pixel, counted from 1; 0 without one
        `segment_category` int32 `[M]`, 0 in empty places, which come last
        `point_seed` int32 `[2]`, the image's seed, from which the losses draw points
    """
    segments = segments_of(panoptic, thing_ids)
    counted = (segments.labels != VOID) & ~segments.is_crowd
    largest = tf.argsort(tf.where(counted, segments.areas, -1), direction="DESCENDING", stable=True)[:max_segments]
    chosen = tf.sort(tf.boolean_mask(largest, tf.gather(counted, largest)))
    place = tf.scatter_nd(chosen[:, None], tf.range(1, tf.size(chosen) + 1), tf.shape(segments.labels))
    category = tf.pad(tf.gather(category_of(segments.labels), chosen), [[0, max_segments - tf.size(chosen)]])
    return {
        "segment_map": pixel_maps(panoptic, segments, place)[0],
        "segment_category": tf.ensure_shape(category, (max_segments,)),
        "point_seed": tf.ensure_shape(tf.cast(seed, tf.int32), (2,)),
    }
