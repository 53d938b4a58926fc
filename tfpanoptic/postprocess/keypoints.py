"""Post-processing of DeeperLab: instances from keypoints, pixels to instances, majority vote.

Source: Yang et al. 2019, section 3.4; see `postprocess/keypoint_instances.py` for what the paper leaves open. Own
choice: everything but the assignment of pixels is done on the heads' grid.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from keras import ops

from tfpanoptic.architecture import Segments
from tfpanoptic.ops.argmax import argmax
from tfpanoptic.ops.bilinear_points import cell_positions
from tfpanoptic.ops.center_offset import cell_sides, enlarge_offset
from tfpanoptic.ops.enlarged_logits import best_channel
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.keypoint_graph import one_by_one
from tfpanoptic.ops.nearest_point import nearest_point
from tfpanoptic.ops.valid import valid_pixels
from tfpanoptic.postprocess.keypoint_instances import (
    KINDS,
    KeypointMaps,
    best_instances,
    find_candidates,
    hough_votes,
    instance_scores,
    keep_apart,
    refined_long_offsets,
    short_steps,
)
from tfpanoptic.postprocess.majority_vote import vote_and_merge
from tfpanoptic.postprocess.mean_probability import mean_probability


def deeperlab_postprocess(
    outputs: dict,
    size,
    valid_size,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    num_categories: int,
    align_corners: bool,
    radius: int,
    refinements: int,
    refinement_weight: Literal["probability", "one"],
    long_refinements: int,
    long_weight: float,
    long_weight_per: Literal["disk", "pixel"],
    keypoint_threshold: float,
    keypoint_window: int,
    keypoint_distance: float,
    instance_score: float,
    box_overlap: float,
    max_instances: int,
    stuff_area: int,
) -> Segments:
    """Segments of each image at network size, with their scores.

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`, `keypoint_logits` `[B, h, w, 5]`, and in pixels of that grid
            `short_offset` and `long_offset` `[B, h, w, 10]` and `middle_offset` `[B, h, w, 16]`.
        size: (H, W) of the network's input.
        valid_size: int32 `[B, 2]`; pixels outside are void and vote for nothing.
        channels: category id of each of the K channels; a channel of 0 that wins makes a pixel void.
        thing_ids: category ids of the things; all other ids in 1..num_categories are stuff.
        num_categories: C.
        align_corners: the grid rule of the enlargement.
        radius: of the disks, in pixels.
        refinements: how often short offsets refine the others.
        refinement_weight: of a short offset that refines, the heatmap's probability where it is, or one.
        long_refinements: how often long offsets refine themselves before.
        long_weight: of votes by long offsets; those by short ones have the heatmap's probability, per disk.
        long_weight_per: what has that weight, as many pixels as a `disk` has or each `pixel`.
        keypoint_threshold: votes that a keypoint has more than, as a share of those of a whole disk.
        keypoint_window: side of the window, in cells of the heads, of which a keypoint has the most votes.
        keypoint_distance: in pixels; a keypoint so near to the same one of a kept instance proposes none.
        instance_score: mean probability at its keypoints that an instance is above; others are left out before that.
        box_overlap: intersection over union of boxes above which the worse instance goes.
        max_instances: N of an image, and peaks of each keypoint.
        stuff_area: stuff categories with fewer pixels become void.

    Returns:
        `Segments`; a score is the mean probability of the segment's category over its pixels, for things times the mean
        probability of the keypoints.
    """
    logits = ops.cast(outputs["semantic_logits"], "float32")
    maps, is_thing = _on_the_grid(outputs, logits, size, valid_size, channels, thing_ids)
    cell = cell_sides(ops.shape(logits)[1:3], size, align_corners)
    disk_pixels = math.pi * radius**2
    weight = long_weight * disk_pixels if long_weight_per == "pixel" else long_weight
    votes = hough_votes(maps, is_thing, disk_pixels / (cell[0] * cell[1]), weight)
    steps = maps.short if refinement_weight == "one" else short_steps(maps)
    candidates = find_candidates(
        votes, maps.middle, steps, keypoint_threshold, keypoint_window, max_instances, refinements
    )
    scores = instance_scores(candidates.keypoints, maps.probability)
    candidates = candidates._replace(exists=ops.logical_and(candidates.exists, scores > instance_score))
    kept = keep_apart(candidates, keypoint_distance, cell)
    keypoints, scores = best_instances(candidates, ops.where(kept, scores, 0.0), max_instances, box_overlap, cell)
    long = refined_long_offsets(maps, steps, long_refinements, refinements)
    instance = _instance_of_pixels(long, keypoints, scores > 0, size, cell, align_corners)

    channel, log_sum_exp = best_channel(logits, size, align_corners)
    category = gather(np.asarray(channels, np.int32), channel)
    semantic = ops.where(valid_pixels(valid_size, size), category, 0)
    segments = vote_and_merge(semantic, instance, scores, thing_ids, num_categories, stuff_area)
    ids, labels, areas = (segments[name] for name in ("segment_ids", "labels", "areas"))
    probability = mean_probability(ids, labels, areas, logits, log_sum_exp, channels, align_corners)
    return Segments(ids, labels, probability * segments["scores"])


def _on_the_grid(outputs: dict, logits, size, valid_size, channels: tuple[int, ...], thing_ids: tuple[int, ...]):
    """The maps of the keypoints, and which cells are of things, bool `[B, h, w]`; padding has neither."""
    small = ops.shape(logits)[1:3]
    # A cell counts if its first pixel does; with aligned corners, where cells lie on pixels, one more may.
    valid_cells = ops.stack(
        [(valid_size[:, axis] * small[axis] + (size[axis] - 1)) // size[axis] for axis in (0, 1)], axis=1
    )
    valid = valid_pixels(valid_cells, small)
    names = ("keypoint_logits", "short_offset", "middle_offset", "long_offset")
    heatmap, short, middle, long = (ops.cast(outputs[name], "float32") for name in names)
    probability = ops.sigmoid(heatmap) * ops.expand_dims(ops.cast(valid, "float32"), -1)
    heatmap, short, long = (one_by_one(part, KINDS) for part in (probability, short, long))
    is_thing = gather(np.isin(np.asarray(channels), thing_ids), argmax(logits))
    return KeypointMaps(heatmap, short, middle, long), ops.logical_and(valid, is_thing)


def _instance_of_pixels(long, keypoints, exists, size, cell, align_corners: bool):
    """Index of the instance whose keypoints are nearest to where a pixel's long offsets point, int32 `[B, H * W]`.

    Args:
        long: float32 `[B * 5, h, w, 2]`, in cells.
        keypoints: float32 `[B, N, 5, 2]`, in cells.
        exists: bool `[B, N]`, True first.
        size: (H, W).
        cell: float32 `[2]`, sides of a cell in pixels.
        align_corners: the grid rule of the enlargement.
    """
    small = ops.shape(long)[1:3]
    offset = ops.transpose(ops.reshape(long, (-1, KINDS, *small, 2)), (0, 2, 3, 1, 4))
    offset = enlarge_offset(ops.reshape(offset, (-1, *small, 2 * KINDS)), size, align_corners)
    offset = ops.reshape(offset, (-1, size[0] * size[1], 2 * KINDS))
    middle = ops.cast(ops.stack([size[0] // 2, size[1] // 2]), "float32")
    pixels = ops.tile(cell_positions(size) - middle, (1, KINDS))  # [H * W, 10]
    first = 0.0 if align_corners else (cell - 1.0) / 2  # the pixel at the middle of cell 0
    points = ops.reshape(keypoints * cell + (first - middle), (-1, exists.shape[1], 2 * KINDS))
    return nearest_point(pixels + offset, points, exists)
