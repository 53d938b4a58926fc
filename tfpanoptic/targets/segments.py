"""The segments of one panoptic map, and what they teach a semantic head of the DeepLab family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfpanoptic.panoptic_map import category_of, instance_of
from tfpanoptic.targets.category_tables import is_thing


class MapSegments(NamedTuple):
    """The S segments of a map, void included.

    Attributes:
        labels: int32 `[S]`, panoptic-map labels.
        of_pixel: int32 `[H * W]`, segment of each pixel, 0..S - 1.
        areas: int32 `[S]`, in pixels.
        is_instance: bool `[S]`, whether it is a thing that is counted.
        is_crowd: bool `[S]`.
    """

    labels: tf.Tensor
    of_pixel: tf.Tensor
    areas: tf.Tensor
    is_instance: tf.Tensor
    is_crowd: tf.Tensor


def segments_of(panoptic: tf.Tensor, thing_ids: Sequence[int]) -> MapSegments:
    """The segments of a panoptic map int32 `[H, W]`, in the order of their first pixels."""
    labels, of_pixel, areas = tf.unique_with_counts(tf.reshape(panoptic, [-1]))
    isthing, numbered = is_thing(labels, thing_ids), instance_of(labels) > 0
    return MapSegments(labels, of_pixel, areas, isthing & numbered, isthing & ~numbered)


def mass_centers(segments: MapSegments, width: tf.Tensor) -> tf.Tensor:
    """Mean pixel of each segment, rounded half to even; int32 `[S, 2]`, (y, x).

    Args:
        segments: of a map.
        width: of the map.
    """
    # Integer sums: in float32 a segment of a megapixel loses whole pixels.
    pixel = tf.range(tf.size(segments.of_pixel))
    count = tf.size(segments.areas)
    sums = [
        tf.math.unsorted_segment_sum(tf.cast(coordinate, tf.int64), segments.of_pixel, count)
        for coordinate in (pixel // width, pixel % width)
    ]
    mean = tf.cast(tf.stack(sums, axis=-1), tf.float64) / tf.cast(segments.areas, tf.float64)[:, None]
    return tf.cast(tf.round(mean), tf.int32)


def segment_boxes(of_pixel: tf.Tensor, count: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Tight boxes of all segments, int32 `[count, 4]`, (y1, x1, y2, x2), the end exclusive.

    Args:
        of_pixel: int32 `[H * W]`, number of the segment at each pixel.
        count: of the segments.
        size: int32 `[2]`, (H, W).
    """
    rows = tf.repeat(tf.range(size[0]), size[1])
    columns = tf.tile(tf.range(size[1]), [size[0]])
    low, high = tf.math.unsorted_segment_min, tf.math.unsorted_segment_max
    sides = [low(rows, of_pixel, count), low(columns, of_pixel, count)]
    sides += [high(rows, of_pixel, count) + 1, high(columns, of_pixel, count) + 1]
    return tf.stack(sides, axis=1)


def semantic_targets(
    panoptic: tf.Tensor,
    segments: MapSegments,
    small_instance_area: int,
    small_instance_weight: float,
    crowd_in_semantic: bool,
) -> dict[str, tf.Tensor]:
    """Category and loss weight of each pixel: small instances weigh more.

    Args:
        panoptic: int32 `[H, W]`.
        segments: of this map.
        small_instance_area: instances below this many pixels get `small_instance_weight`.
        small_instance_weight: weight of their pixels in the semantic loss; all others have 1.
        crowd_in_semantic: whether crowds teach the semantic head; if not, they are ignored there too.

    Returns:
        `semantic` int32 `[H, W]`, category id, 0 where ignored
        `semantic_weight` float32 `[H, W]`
    """
    category = category_of(segments.labels)
    if not crowd_in_semantic:
        category = tf.where(segments.is_crowd, 0, category)
    is_small = segments.is_instance & (segments.areas < small_instance_area)
    weight = tf.where(is_small, tf.constant(small_instance_weight, tf.float32), 1.0)
    values = {"semantic": category, "semantic_weight": weight}
    return {name: tf.reshape(tf.gather(v, segments.of_pixel), tf.shape(panoptic)) for name, v in values.items()}
