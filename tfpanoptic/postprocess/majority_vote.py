"""Merging a map of instances with the semantic map: every instance takes the category of most of its pixels.

Source: Yang et al. 2019 (DeeperLab), section 3.4; Cheng et al. 2020 (Panoptic-DeepLab), section 3.4; DeepLab2
`model/post_processor/panoptic_deeplab.py` (its TensorFlow path). The instances of a category are numbered in their
order here.

A table of N + (number of stuff categories) rows describes the segments of an image: one row an instance, then one row a
stuff category.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.ops.argmax import argmax
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.segments import count_keys, look_up
from tfpanoptic.postprocess.instance_labels import labels_in_order
from tfpanoptic.postprocess.stuff_rows import by_category, stuff_labels


def vote_and_merge(
    semantic, instance, instance_scores, thing_ids: tuple[int, ...], num_categories: int, stuff_area: int
) -> dict:
    """Segments of each image, from full-size maps.

    The pixels of an instance take the thing category that most of them have (the lowest id of equal ones). Thing pixels
    of an image without any instance are void, and so is stuff below the area limit.

    Args:
        semantic: int32 `[B, H, W]`, category ids, 0 where void.
        instance: int32 `[B, H * W]`, the instance that each pixel would belong to, if it is of a thing, 0..N - 1.
        instance_scores: float32 `[B, N]`, falling, 0 where there is no instance.
        thing_ids: category ids of the things; all other ids in 1..num_categories are stuff.
        num_categories: C.
        stuff_area: stuff categories with fewer pixels become void.

    Returns:
        `segment_ids` int32 `[B, H, W]`, 0 void, else row + 1
        `labels` int32 `[B, R]`, panoptic-map label of each row, 0 in empty rows
        `areas` int32 `[B, R]`, pixels of each row
        `scores` float32 `[B, R]`, of the instance; 1 in the rows of stuff, 0 in empty rows
    """
    batch, height, width = ops.shape(semantic)
    max_instances = instance_scores.shape[1]
    semantic = ops.reshape(semantic, (batch, -1))  # [B, H*W]

    # One key holds instance and category; the instance `max_instances` stands for "none". Counting the
    # keys gives the votes and the areas, and a table over them gives every pixel its segment.
    isthing = np.zeros(num_categories + 1, bool)
    isthing[list(thing_ids)] = True
    any_instance = instance_scores[:, :1] > 0
    grouped = ops.logical_and(gather(isthing, semantic), any_instance)
    key = ops.where(grouped, instance, max_instances) * (num_categories + 1) + semantic
    counts = count_keys(key, (max_instances + 1) * (num_categories + 1))
    counts = ops.reshape(counts, (batch, max_instances + 1, num_categories + 1))

    stuff_ids = np.flatnonzero(~isthing[1:]) + 1
    labels, areas, scores = _segment_table(counts, instance_scores, stuff_ids, stuff_area)
    rows = ops.where(labels > 0, np.arange(1, max_instances + len(stuff_ids) + 1, dtype=np.int32), 0)
    of_instance = ops.repeat(rows[:, :max_instances], num_categories + 1, axis=1)
    of_none = by_category(rows[:, max_instances:], stuff_ids, num_categories)
    segment_of_key = ops.concatenate([of_instance, of_none], axis=1)
    return {
        "segment_ids": ops.reshape(look_up(segment_of_key, key), (batch, height, width)),
        "labels": labels,
        "areas": areas,
        "scores": scores,
    }


def _segment_table(counts, instance_scores, stuff_ids: np.ndarray, stuff_area: int):
    """Labels, areas and scores of all rows, `[B, R]` each; see `vote_and_merge`.

    Args:
        counts: int32 `[B, max_instances + 1, C + 1]`, pixels of each instance and category.
        instance_scores: float32 `[B, max_instances]`.
    """
    thing_labels, thing_areas = _vote(counts[:, :-1])
    stuff_areas = ops.take(counts[:, -1], stuff_ids, axis=1)
    labels = ops.concatenate([thing_labels, stuff_labels(stuff_areas, stuff_ids, stuff_area)], axis=1)
    areas = ops.concatenate([thing_areas, stuff_areas], axis=1)
    scores = ops.concatenate([instance_scores, ops.ones_like(ops.cast(stuff_areas, "float32"))], axis=1)
    return labels, ops.where(labels > 0, areas, 0), ops.where(labels > 0, scores, 0.0)


def _vote(counts):
    """Labels and areas of the instances, int32 `[B, max_instances]` each.

    Args:
        counts: int32 `[B, max_instances, C + 1]`, pixels of each category.
    """
    category = argmax(counts)  # 0 where there is no pixel
    return labels_in_order(category), ops.sum(counts, axis=2)
