"""Post-processing of Panoptic-DeepLab and Axial-DeepLab: centres, grouping, majority vote, merging.

Source: Cheng et al. 2020, section 3.4; DeepLab2 `model/post_processor/panoptic_deeplab.py` (its
TensorFlow path). Two differences: exactly the best `max_centers` peaks are kept (see
`ops.pooling.best_peaks`), and the instances of a category are numbered from the highest centre down.

A table of N = max_centers + (number of stuff categories) rows describes the segments of an image: one
row a centre, then one row a stuff category. `labels` holds their panoptic-map labels, 0 in empty rows.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.architecture import Segments
from tfpanoptic.ops.center_offset import enlarge_offset
from tfpanoptic.ops.enlarged_logits import best_channel
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.nearest_point import nearest_point
from tfpanoptic.ops.pooling import best_peaks
from tfpanoptic.ops.resize import resize_bilinear
from tfpanoptic.ops.valid import valid_pixels
from tfpanoptic.postprocess.majority_vote import vote_and_merge
from tfpanoptic.postprocess.mean_probability import mean_probability


def panoptic_deeplab_postprocess(
    outputs: dict,
    size,
    valid_size,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    num_categories: int,
    align_corners: bool,
    center_threshold: float,
    nms_kernel: int,
    max_centers: int,
    stuff_area: int,
) -> Segments:
    """Segments of each image at network size, with their scores.

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`, `center_heatmap` `[B, h, w, 1]`, `center_offset`
            `[B, h, w, 2]` in pixels of that grid.
        size: (H, W) of the network's input.
        valid_size: int32 `[B, 2]`; pixels outside are void and hold no centre.
        channels: category id of each of the K channels; a channel of 0 that wins makes a pixel void.
        align_corners: the grid rule of the enlargement.
        thing_ids, num_categories, center_threshold, nms_kernel, max_centers, stuff_area: as in
            `group_and_merge`.

    Returns:
        `Segments`; a score is the mean probability of the segment's category over its pixels, for things times the
        height of the centre.
    """
    logits = ops.cast(outputs["semantic_logits"], "float32")
    valid = valid_pixels(valid_size, size)
    channel, log_sum_exp = best_channel(logits, size, align_corners)
    semantic = ops.where(valid, gather(np.asarray(channels, np.int32), channel), 0)
    heatmap = resize_bilinear(ops.cast(outputs["center_heatmap"], "float32"), size, align_corners)
    offset = enlarge_offset(ops.cast(outputs["center_offset"], "float32"), size, align_corners)
    segments = group_and_merge(
        semantic,
        ops.where(valid, ops.squeeze(heatmap, -1), 0.0),
        offset,
        thing_ids,
        num_categories,
        center_threshold,
        nms_kernel,
        max_centers,
        stuff_area,
    )
    ids, labels, areas = (segments[name] for name in ("segment_ids", "labels", "areas"))
    probability = mean_probability(ids, labels, areas, logits, log_sum_exp, channels, align_corners)
    return Segments(ids, labels, probability * segments["center_scores"])


def group_and_merge(
    semantic,
    heatmap,
    offset,
    thing_ids: tuple[int, ...],
    num_categories: int,
    center_threshold: float,
    nms_kernel: int,
    max_centers: int,
    stuff_area: int,
) -> dict:
    """Segments of each image, from full-size maps.

    Every thing pixel joins the centre that is nearest to where its offset points; the pixels of a
    centre take the thing category that most of them have: see `postprocess/majority_vote.py`.

    Args:
        semantic: int32 `[B, H, W]`, category ids, 0 where void.
        heatmap: float32 `[B, H, W]`.
        offset: float32 `[B, H, W, 2]`, (dy, dx) in pixels.
        thing_ids: category ids of the things; all other ids in 1..num_categories are stuff.
        num_categories: C.
        center_threshold: a centre is higher than this; at least 0.
        nms_kernel: side of the window, in pixels, of which a centre is the maximum.
        max_centers: at most so many centres an image, the highest.
        stuff_area: stuff categories with fewer pixels become void.

    Returns:
        `segment_ids` int32 `[B, H, W]`, 0 void, else row + 1
        `labels` int32 `[B, N]`, panoptic-map label of each row, 0 in empty rows
        `areas` int32 `[B, N]`, pixels of each row
        `center_scores` float32 `[B, N]`, height of the centre; 1 in the rows of stuff, 0 in empty rows
    """
    position, center_height = best_peaks(heatmap, center_threshold, nms_kernel, max_centers)
    instance = _instance_of_pixels(position, center_height > 0, offset)  # [B, H*W]

    segments = vote_and_merge(semantic, instance, center_height, thing_ids, num_categories, stuff_area)
    return {"center_scores": segments.pop("scores"), **segments}


def _instance_of_pixels(position, exists, offset):
    """Index of the centre that each pixel's offset points to most nearly, int32 `[B, H*W]`."""
    batch, height, width = ops.shape(offset)[:3]
    middle = ops.cast(ops.stack([height // 2, width // 2]), "float32")
    down = ops.expand_dims(ops.arange(height, dtype="float32") - middle[0], 1)
    across = ops.arange(width, dtype="float32") - middle[1]
    # Pairs (y, x) side by side in rows of 2 * W: broadcasting along an axis of two is slow.
    across = ops.reshape(ops.stack([ops.zeros_like(across), across], axis=1), (1, -1))
    pixel = down * ops.tile(np.array([[1, 0]], np.float32), (1, width)) + across  # [H, 2 * W]
    pointed = offset + ops.reshape(pixel, (height, width, 2))
    centers = ops.cast(ops.stack([position // width, position % width], axis=-1), "float32") - middle
    return nearest_point(ops.reshape(pointed, (batch, -1, 2)), centers, exists)
