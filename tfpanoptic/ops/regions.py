"""Which anchors and proposals a detector learns from, and what they are to become.

Source: Ren et al. 2015, section 3.1.2; Girshick 2015, section 2.3; Detectron2 `modeling/matcher.py`,
`modeling/sampling.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.ops.boxes import pairwise_iou
from tfpanoptic.ops.sampling import choose


class Matches(NamedTuple):
    """How candidates, anchors or proposals, meet the true boxes.

    Attributes:
        positive, negative: bool `[B, A]`; candidates that are neither teach nothing.
        place: int32 `[B, A]`, the true box that overlaps the candidate most, the first of equal ones.
    """

    positive: Any
    negative: Any
    place: Any


def match_anchors(anchors, boxes, exists, positive: float = 0.7, negative: float = 0.3) -> Matches:
    """Anchors against the true boxes of each image.

    An anchor is positive where its largest overlap reaches `positive`, and where no anchor overlaps some box more;
    such an anchor still belongs to the box that it overlaps most itself, which may be another.

    Args:
        anchors: float32 `[A, 4]`.
        boxes: float32 `[B, N, 4]`.
        exists: bool `[B, N]`; other places hold no box.
        positive, negative: intersection over union from which, and below which.
    """
    overlap = pairwise_iou(boxes, ops.expand_dims(anchors, 0))  # [B, N, A]
    overlap = ops.where(ops.expand_dims(exists, 2), overlap, 0.0)
    largest = ops.max(overlap, axis=1)
    best_of_box = ops.max(overlap, axis=2, keepdims=True)
    is_best = ops.any(ops.logical_and(overlap == best_of_box, best_of_box > 0), axis=1)
    is_positive = ops.logical_or(largest >= positive, is_best)
    is_negative = ops.logical_and(largest < negative, ops.logical_not(is_positive))
    return Matches(is_positive, is_negative, ops.cast(ops.argmax(overlap, axis=1), "int32"))


def match_regions(regions, region_exists, boxes, exists, foreground: float = 0.5) -> Matches:
    """Proposals against the true boxes of each image; all that exist are foreground or background.

    Args:
        regions: float32 `[B, R, 4]`.
        region_exists: bool `[B, R]`.
        boxes, exists: as in `match_anchors`.
        foreground: intersection over union from which.
    """
    overlap = pairwise_iou(boxes, regions)
    overlap = ops.where(ops.expand_dims(exists, 2), overlap, 0.0)
    is_foreground = ops.max(overlap, axis=1) >= foreground
    return Matches(
        ops.logical_and(region_exists, is_foreground),
        ops.logical_and(region_exists, ops.logical_not(is_foreground)),
        ops.cast(ops.argmax(overlap, axis=1), "int32"),
    )


def sample_matches(matches: Matches, seed, count: int, fraction: float, draw: int) -> tuple:
    """A random sample of each image's candidates, positive ones first.

    At most int(count * fraction) are positive, and negative ones fill up.

    Args:
        matches: of the candidates.
        seed: int32 `[B, 2]`, of each image.
        count: places S of the sample.
        fraction: largest share of positive ones.
        draw: sets draws of one network apart; this one and the next are used.

    Returns:
        `index` int32 `[B, S]` into the candidates, 0 in empty places
        `label` int32 `[B, S]`, 1 positive, 0 negative, -1 empty
    """
    most = int(count * fraction)
    positive, is_positive = choose(seed, matches.positive, most, draw=draw)
    number = ops.sum(ops.cast(is_positive, "int32"), axis=1, keepdims=True)  # [B, 1]
    negative, is_negative = choose(seed, matches.negative, count, draw=draw + 1)
    place = ops.expand_dims(ops.arange(count, dtype="int32"), 0)
    first = place < number
    # The negative ones move up behind the positive ones.
    behind = ops.maximum(place - number, 0)
    negative, is_negative = (ops.take_along_axis(values, behind, axis=1) for values in (negative, is_negative))
    positive = ops.pad(positive, ((0, 0), (0, count - most)))
    index = ops.where(first, positive, ops.where(is_negative, negative, 0))
    return index, ops.where(first, 1, ops.where(is_negative, 0, -1))
