"""Instances from keypoints: Hough votes, their peaks, and a greedy choice among the instances that peaks propose.

Source: Yang et al. 2019 (DeeperLab), section 3.4; Papandreou et al. 2018 (PersonLab), section 3. Own choices, where the
first does not say, or says it for a sequential program. Settings, `model.postprocess`, by their defaults:

- `refinement_weight`: positions are refined by the short offset times the heatmap's probability there. Outside the
  disks, where the probability is low, short offsets were never taught. Re-implementations of PersonLab add all of it.
- `long_refinements`: long offsets do not refine themselves. Corners of a box mostly lie outside of its instance, where
  long offsets were never taught. Re-implementations of PersonLab refine them so twice, before the short ones do.
- `long_weight_per`: votes of long offsets are divided by the area of a disk like the others. So a threshold means the
  same for any radius. Without, as the paper may mean it, a pixel's vote has the weight itself.

Without a setting:

- Long offsets vote as the heads give them. Where short offsets would refine such a vote, they vote themselves.
- A peak is placed at the mean of the votes of its 3 x 3 cells. A vote is shared by the cells around its point, so the
  mean is that point again; the cell with the most votes is up to half a cell away.
- Peaks are taken by their votes, and an instance scores the mean probability of the heatmap at its keypoints. The
  paper's Expected-OKS needs a tolerance of each keypoint, which is not known.
- Candidates that score too little go first: having the most votes, they would be in the way of better ones.

All candidates are looked at together; the greedy rule is a fixed point (`ops.nms.keep_greedily`). Positions are (y, x)
in cells of the heads' grid.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from tfpanoptic.ops.bilinear_points import add_at, cell_positions, read_at
from tfpanoptic.ops.keypoint_graph import CENTER, CORNERS, EDGES, KEYPOINTS, offsets_of, one_by_one
from tfpanoptic.ops.nms import keep_greedily, suppress
from tfpanoptic.ops.pooling import best_peaks

KINDS = len(KEYPOINTS)


class KeypointMaps(NamedTuple):
    """What the heads say, float32, offsets in cells; of each keypoint one image where there are B * 5.

    Attributes:
        probability: `[B * 5, h, w, 1]`, of the heatmap.
        short: `[B * 5, h, w, 2]`, to the keypoint in whose disk a cell lies.
        middle: `[B, h, w, 16]`, from a keypoint to another.
        long: `[B * 5, h, w, 2]`, to the keypoint of the cell's instance.
    """

    probability: Any
    short: Any
    middle: Any
    long: Any


class Candidates(NamedTuple):
    """M peaks of an image, those with the most votes first, and the instance that each proposes.

    Attributes:
        kind: int32 `[B, M]`, which keypoint it is.
        keypoints: float32 `[B, M, 5, 2]`.
        exists: bool `[B, M]`.
    """

    kind: Any
    keypoints: Any
    exists: Any


def short_steps(maps: KeypointMaps):
    """What refines an offset, float32 `[B * 5, h, w, 2]`: the short offset times its probability."""
    return maps.short * maps.probability


def refined_long_offsets(maps: KeypointMaps, steps, long_refinements: int, refinements: int):
    """Long offsets of all cells, refined by themselves and then by short ones; float32 `[B * 5, h, w, 2]`.

    Args:
        maps: of the heads.
        steps: float32 `[B * 5, h, w, 2]`, of the short offsets.
        long_refinements, refinements: how often each.
    """
    size = ops.shape(maps.long)[1:3]
    offset, cells = ops.reshape(maps.long, (-1, size[0] * size[1], 2)), ops.expand_dims(cell_positions(size), 0)
    offset = refined(refined(offset, cells, maps.long, long_refinements), cells, steps, refinements)
    return ops.reshape(offset, (-1, *size, 2))


def refined(offset, positions, steps, times: int):
    """Offsets that lead more exactly to a keypoint: several times, the step there is added; float32 `[G, M, 2]`.

    Args:
        offset: float32 `[G, M, 2]`, in cells.
        positions: float32 `[G, M, 2]` or `[1, M, 2]`, where the offsets begin.
        steps: float32 `[G, h, w, 2]`, of the keypoint that they lead to.
        times: how often.
    """
    for _ in range(times):
        offset = offset + read_at(steps, positions + offset)
    return offset


def hough_votes(maps: KeypointMaps, is_thing, disk_area, long_weight: float):
    """Votes for each keypoint at each cell, float32 `[B * 5, h, w]`; 1 where all cells of a disk point.

    Args:
        maps: of the heads.
        is_thing: bool `[B, h, w]`, cells whose long offsets vote.
        disk_area: of a keypoint's disk, in cells.
        long_weight: of a cell's vote by its long offset, where one of a short offset has the heatmap's probability.
    """
    size = ops.shape(is_thing)[1:]
    cells = cell_positions(size)

    def votes(offset, weight):
        points = cells + ops.reshape(offset, (-1, size[0] * size[1], 2))
        return add_at(ops.reshape(weight, (-1, size[0] * size[1])), points, size)

    thing = ops.repeat(ops.cast(is_thing, "float32"), KINDS, axis=0)
    return (votes(maps.short, maps.probability) + long_weight * votes(maps.long, thing)) / disk_area


def find_candidates(votes, middle, steps, threshold: float, window: int, count: int, refinements: int):
    """The peaks of all keypoints and what they propose, `Candidates` with M = 5 * `count`.

    Args:
        votes: float32 `[B * 5, h, w]`.
        middle: float32 `[B, h, w, 16]`, of the heads.
        steps: float32 `[B * 5, h, w, 2]`, of the short offsets.
        threshold, window: of a peak; see `ops.pooling.best_peaks`.
        count: peaks of one keypoint.
        refinements: of the middle-range offsets.
    """
    position, height = best_peaks(votes, threshold, window, count)
    points = ops.reshape(_centers_of_votes(votes, position), (-1, KINDS * count, 2))
    height, order = ops.top_k(ops.reshape(height, (-1, KINDS * count)), KINDS * count)
    order = ops.cast(order, "int32")
    points, kind = ops.take_along_axis(points, ops.expand_dims(order, -1), axis=1), order // count
    return Candidates(kind, proposed_keypoints(points, kind, middle, steps, refinements), height > 0)


def _centers_of_votes(votes, position):
    """Mean place of the votes in the 3 x 3 cells around each peak, float32 `[B * 5, count, 2]`."""
    height, width = ops.shape(votes)[1:]
    padded = ops.reshape(ops.pad(votes, ((0, 0), (1, 1), (1, 1))), (-1,))
    image = ops.expand_dims(ops.arange(ops.shape(votes)[0], dtype="int32") * (height + 2), 1)
    row, column = position // width, position % width
    total, moment = 0.0, 0.0
    for down, across in np.ndindex(3, 3):
        share = ops.take(padded, (image + row + down) * (width + 2) + column + across, axis=0)
        total = total + share
        moment = moment + ops.expand_dims(share, -1) * np.array([down - 1, across - 1], np.float32)
    cell = ops.cast(ops.stack([row, column], axis=-1), "float32")
    return cell + moment / ops.expand_dims(ops.maximum(total, 1e-6), -1)


def proposed_keypoints(points, kind, middle, steps, refinements: int):
    """All five keypoints of an instance from one: along the star to the centre, and on to the corners.

    Args:
        points: float32 `[B, M, 2]`.
        kind: int32 `[B, M]`, which keypoint each point is.
        middle: float32 `[B, h, w, 16]`, of the heads.
        steps: float32 `[B * 5, h, w, 2]`, of the short offsets.
        refinements: how often they refine each middle-range offset.

    Returns:
        float32 `[B, M, 5, 2]`.
    """
    count = points.shape[1]
    size = ops.shape(middle)[1:3]
    steps = ops.reshape(steps, (-1, KINDS, *size, 2))
    is_kind = ops.expand_dims(kind, -1) == np.arange(KINDS, dtype=np.int32)  # [B, M, 5]

    offsets = read_at(middle, points)
    to_center = ops.zeros_like(points)
    for corner in CORNERS:
        from_corner = offsets_of(offsets, EDGES.index((corner, CENTER)))
        to_center = ops.where(is_kind[..., corner : corner + 1], from_corner, to_center)
    to_center = refined(to_center, points, steps[:, CENTER], refinements)
    center = ops.where(is_kind[..., CENTER:], points, points + to_center)

    offsets = read_at(middle, center)
    to_corners = [offsets_of(offsets, EDGES.index((CENTER, corner))) for corner in CORNERS]
    to_corners = one_by_one(ops.concatenate(to_corners, axis=-1), len(CORNERS))  # [B * 4, M, 2]
    start = ops.repeat(center, len(CORNERS), axis=0)
    steps = ops.reshape(steps[:, : len(CORNERS)], (-1, *size, 2))
    corners = ops.reshape(start + refined(to_corners, start, steps, refinements), (-1, len(CORNERS), count, 2))
    keypoints = ops.concatenate([ops.transpose(corners, (0, 2, 1, 3)), ops.expand_dims(center, 2)], axis=2)
    return ops.where(ops.expand_dims(is_kind, -1), ops.expand_dims(points, 2), keypoints)


def instance_scores(keypoints, probability):
    """Mean probability at the keypoints of each instance, float32 `[B, M]`.

    Args:
        keypoints: float32 `[B, M, 5, 2]`.
        probability: float32 `[B * 5, h, w, 1]`, of the heatmap.
    """
    places = ops.transpose(keypoints, (0, 2, 1, 3))  # [B, 5, M, 2]
    at_keypoints = read_at(probability, ops.reshape(places, (-1, places.shape[2], 2)))
    return ops.mean(ops.reshape(at_keypoints, (-1, KINDS, places.shape[2])), axis=1)


def keep_apart(candidates: Candidates, distance: float, cell):
    """Which candidates stay, bool `[B, M]`, if none may lie where a kept one has the same keypoint.

    Args:
        candidates: the one with the most votes first.
        distance: in pixels.
        cell: float32 `[2]`, sides of a cell in pixels.
    """
    places = candidates.keypoints * cell
    near = False
    for kind in range(KINDS):
        place = places[:, :, kind]
        difference = ops.expand_dims(place, 2) - ops.expand_dims(place, 1)  # [B, M, M, 2]
        close = ops.sum(difference * difference, axis=-1) <= distance * distance
        near = ops.logical_or(near, ops.logical_and(close, ops.expand_dims(candidates.kind == kind, 2)))
    return keep_greedily(near, candidates.exists)


def best_instances(candidates: Candidates, scores, count: int, box_overlap: float, cell) -> tuple[Any, Any]:
    """The instances that score best, without those whose boxes better ones cover.

    Args:
        candidates: M of them.
        scores: float32 `[B, M]`, 0 for those that are not left.
        count: N, at most M.
        box_overlap: intersection over union from which on, exclusive, the worse of two goes.
        cell: float32 `[2]`, sides of a cell in pixels.

    Returns:
        keypoints float32 `[B, N, 5, 2]` and scores float32 `[B, N]`, falling, 0 in empty places.
    """
    keypoints, scores = _highest(candidates.keypoints, scores, count)
    low, high = ops.min(keypoints, axis=2), ops.max(keypoints, axis=2)
    boxes = ops.concatenate([low * cell, (high + 1.0) * cell], axis=-1)
    scores = ops.where(suppress(boxes, scores > 0, box_overlap), scores, 0.0)
    return _highest(keypoints, scores, count)


def _highest(keypoints, scores, count: int):
    """The `count` places with the highest scores, in that order."""
    scores, order = ops.top_k(scores, count)
    order = ops.cast(ops.reshape(order, (-1, count, 1, 1)), "int32")
    return ops.take_along_axis(keypoints, order, axis=1), scores
