"""The segments of one panoptic map, and what they teach a semantic head of the DeepLab family."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfpanoptic.compiled import LAST, compiled, row_of, with_tables
from tfpanoptic.panoptic_map import category_of, instance_of
from tfpanoptic.targets.category_tables import is_thing


class MapSegments(NamedTuple):
    """The S segments of a map, void included, in the order of their first pixels.

    Attributes:
        labels: int32 `[S]`, panoptic-map labels.
        areas: int32 `[S]`, in pixels.
        centers: int32 `[S, 2]`, (y, x) of the mean pixel, rounded half to even.
        boxes: int32 `[S, 4]`, tight, (y1, x1, y2, x2), the end exclusive.
        is_instance: bool `[S]`, whether it is a thing that is counted.
        is_crowd: bool `[S]`.
    """

    labels: tf.Tensor
    areas: tf.Tensor
    centers: tf.Tensor
    boxes: tf.Tensor
    is_instance: tf.Tensor
    is_crowd: tf.Tensor


def segments_of(panoptic: tf.Tensor, thing_ids: Sequence[int]) -> MapSegments:
    """The segments of a panoptic map int32 `[H, W]`, from the runs of equal labels along its rows."""
    height, width = tf.unstack(tf.shape(panoptic))
    starts = tf.where(tf.pad(panoptic[:, 1:] != panoptic[:, :-1], [[0, 0], [1, 0]], constant_values=True))
    y, x = tf.unstack(starts, axis=1)  # int64: a sum over a megapixel needs it
    first = y * tf.cast(width, tf.int64) + x
    length = tf.concat([first[1:], [tf.cast(height * width, tf.int64)]], 0) - first
    labels, of_run = tf.unique(tf.gather(tf.reshape(panoptic, [-1]), first))
    count = tf.size(labels)

    def total(values):
        return tf.math.unsorted_segment_sum(values, of_run, count)

    areas = total(length)
    # x + (x + 1) + ... of a run; one of the factors is even.
    sums = tf.stack([total(y * length), total(length * (2 * x + length - 1) // 2)], axis=1)
    centers = tf.round(tf.cast(sums, tf.float64) / tf.cast(areas, tf.float64)[:, None])
    low, high = tf.math.unsorted_segment_min, tf.math.unsorted_segment_max
    sides = [low(y, of_run, count), low(x, of_run, count), high(y + 1, of_run, count), high(x + length, of_run, count)]
    isthing, numbered = is_thing(labels, thing_ids), instance_of(labels) > 0
    return MapSegments(
        labels,
        tf.cast(areas, tf.int32),
        tf.cast(centers, tf.int32),
        tf.cast(tf.stack(sides, axis=1), tf.int32),
        isthing & numbered,
        isthing & ~numbered,
    )


def pixel_maps(panoptic: tf.Tensor, segments: MapSegments, *columns: tf.Tensor) -> list[tf.Tensor]:
    """For each column `[S]` of values of the segments, the value at each pixel, `[H, W]`.

    Args:
        panoptic: int32 `[H, W]`.
        segments: of this map.
        columns: of any type.
    """
    order = tf.argsort(segments.labels)
    tables = [tf.gather(column, order) for column in (segments.labels, *columns)]
    return with_tables(
        functools.partial(_gathered, panoptic, pixels=tf.TensorShape(panoptic.shape).num_elements()),
        tables,
        [LAST] + [0] * len(columns),
    )


@compiled
def _gathered(panoptic: tf.Tensor, table: tf.Tensor, *columns: tf.Tensor) -> list[tf.Tensor]:
    row = row_of(panoptic, table)
    return [tf.gather(column, row) for column in columns]


def semantic_columns(
    segments: MapSegments,
    small_instance_area: int,
    small_instance_weight: float,
    crowd_in_semantic: bool,
) -> dict[str, tf.Tensor]:
    """Category and loss weight of each segment's pixels: small instances weigh more.

    Args:
        segments: of a map.
        small_instance_area: instances below this many pixels get `small_instance_weight`.
        small_instance_weight: weight of their pixels in the semantic loss; all others have 1.
        crowd_in_semantic: whether crowds teach the semantic head; if not, they are ignored there too.

    Returns:
        Columns for `pixel_maps`:
            `semantic` int32 `[S]`, category id, 0 where ignored
            `semantic_weight` float32 `[S]`
    """
    category = category_of(segments.labels)
    if not crowd_in_semantic:
        category = tf.where(segments.is_crowd, 0, category)
    is_small = segments.is_instance & (segments.areas < small_instance_area)
    weight = tf.where(is_small, tf.constant(small_instance_weight, tf.float32), 1.0)
    return {"semantic": category, "semantic_weight": weight}
