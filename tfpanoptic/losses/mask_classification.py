"""The losses of mask transformers: each query answers for one segment or for none.

Every prediction of the network, those before its last blocks included, is matched anew and costs the same. Masks are
compared at random points of the image, other ones for each prediction and purpose, drawn from the image's seed.

Source: Cheng et al. 2021 (MaskFormer), section 3.3; Cheng et al. 2022 (Mask2Former), section 3.3; Kerssies et al. 2025
(EoMT), section 3.1. Void and crowds are outside of every mask, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from tfpanoptic.losses.classification import cross_entropy
from tfpanoptic.losses.mask_matching import matching_costs
from tfpanoptic.losses.uncertain_points import PointCounts, drawn_points, mask_losses, point_counts
from tfpanoptic.ops.assignment import assign
from tfpanoptic.ops.channels import channel_of
from tfpanoptic.ops.sampling import random_bits, random_uniform

# Draws of the image's seed, two a prediction; networks draw from 0 on.
FIRST_DRAW = 1000


def mask_classification_loss(
    outputs: dict,
    targets: dict,
    channels: tuple[int, ...],
    predictions: int,
    points: int = 12544,
    oversample: float = 3.0,
    importance: float = 0.75,
    no_object_weight: float = 0.1,
) -> dict:
    """Unweighted loss terms of each image, sums to be divided by `mask_classification_counts`.

    Args:
        outputs: `class_logits` `[B, Q, K]` and `mask_logits` `[B, h, w, Q]` of the last prediction, and those before
            it: `class_logits_0`, `mask_logits_0` and so on.
        targets: a batch of what `targets.segment_table` returns.
        channels: category id of each of the K channels, 0 for no object.
        predictions: how many there are, the last one included.
        points: at which the masks of a pair are compared.
        oversample: candidates for each of them.
        importance: share of the points that are the most uncertain candidates.
        no_object_weight: of the class term of queries without a segment.

    Returns:
        `class`, `mask` and `dice`, float32 `[B]` each: sums over all predictions, and over queries or pairs.

    Raises:
        ValueError: `channels` does not have one id for each channel, or none for no object; fewer candidates than
            points that are chosen among them.
    """
    counts = point_counts(points, oversample, importance)
    seed, places = targets["point_seed"], targets["segment_category"].shape[1]
    draws = [FIRST_DRAW + 2 * number for number in range(predictions)]
    for_matching = [random_uniform(seed, (2, points), draw) for draw in draws]
    of_pairs = [ops.reshape(random_bits(seed, 2 * places, draw + 1), (-1, 2)) for draw in draws]
    return loss_at_points(outputs, targets, channels, for_matching, drawn_points, of_pairs, counts, no_object_weight)


def loss_at_points(
    outputs: dict,
    targets: dict,
    channels: tuple[int, ...],
    for_matching: Sequence,
    draw: Callable,
    of_pairs: Sequence,
    counts: PointCounts,
    no_object_weight: float,
) -> dict:
    """As `mask_classification_loss`, at points that come with the call.

    Args:
        outputs, targets, channels: as there.
        for_matching: points of each prediction, float32 `[B, 2, P]`, (x, y) in 0..1.
        draw: `uncertain_points.drawn_points` or `given_points`.
        of_pairs: from what it takes the points of the pairs of each prediction, `[B * M, ...]`.
        counts: points of a pair.
        no_object_weight: as there.
    """
    _check(outputs["class_logits"], channels)
    logits = predictions_of(outputs, len(for_matching))
    query, matched = match(logits, targets, channels, for_matching)
    terms: dict[str, Any] = {"class": 0.0, "mask": 0.0, "dice": 0.0}
    for number, (class_logits, mask_logits) in enumerate(logits):
        pairs = query[number], matched[number]
        channel = _channel_of_queries(targets["segment_category"], *pairs, channels, class_logits.shape[1])
        masks = mask_losses(mask_logits, targets["segment_map"], *pairs, draw, of_pairs[number], counts)
        found = _class_term(class_logits, channel, channels.index(0), no_object_weight), *masks
        terms = {name: total + ops.sum(values, axis=1) for (name, total), values in zip(terms.items(), found)}
    return terms


def mask_classification_counts(targets: dict, queries: int, no_object_weight: float = 0.1) -> dict:
    """What the terms of `mask_classification_loss` are divided by over the global batch, float32 `[B]` each.

    Segments for `mask` and `dice`, for each prediction has a pair for every one of them; the weights of all queries for
    `class`.

    Args:
        targets: as there.
        queries: Q.
        no_object_weight: as there.
    """
    segments = ops.sum(ops.cast(targets["segment_category"] > 0, "float32"), axis=1)
    matched = ops.minimum(segments, float(queries))
    return {"class": matched + no_object_weight * (queries - matched), "mask": segments, "dice": segments}


def predictions_of(outputs: dict, count: int) -> list[tuple[Any, Any]]:
    """Class and mask logits of each prediction, float32, the last one at the end."""
    endings = [*(f"_{number}" for number in range(count - 1)), ""]
    return [
        (ops.cast(outputs[f"class_logits{end}"], "float32"), ops.cast(outputs[f"mask_logits{end}"], "float32"))
        for end in endings
    ]


def match(logits: Sequence, targets: dict, channels: tuple[int, ...], points: Sequence) -> tuple[Any, Any]:
    """The query of each place in each prediction, int32 `[predictions, B, M]`, and whether it has one, bool.

    Args:
        logits: of each prediction, as of `predictions_of`.
        targets, channels: as in `mask_classification_loss`.
        points: of each prediction, float32 `[B, 2, P]`.
    """
    costs = [
        matching_costs(class_logits, mask_logits, targets, channels, at).total()
        for (class_logits, mask_logits), at in zip(logits, points, strict=True)
    ]
    count = ops.sum(ops.cast(targets["segment_category"] > 0, "int32"), axis=1)
    found = assign(ops.concatenate(costs, axis=0), ops.tile(count, (len(costs),)))
    return tuple(ops.reshape(part, (len(costs), -1, part.shape[1])) for part in found)


def _channel_of_queries(category, query, matched, channels: tuple[int, ...], queries: int):
    """The right channel of each query, int32 `[B, Q]`: that of its segment's category, or of no object."""
    is_of = ops.logical_and(
        ops.expand_dims(query, 2) == ops.arange(queries, dtype="int32"), ops.expand_dims(matched, 2)
    )
    channel = ops.max(ops.where(is_of, ops.expand_dims(channel_of(category, channels), 2), -1), axis=1)
    return ops.where(ops.any(is_of, axis=1), channel, channels.index(0))


def _class_term(logits, channel, no_object: int, no_object_weight: float):
    """Weighted cross entropy of each query, float32 `[B, Q]`."""
    return cross_entropy(logits, channel) * ops.where(channel == no_object, no_object_weight, 1.0)


def _check(class_logits, channels: tuple[int, ...]) -> None:
    if class_logits.shape[-1] != len(channels):
        raise ValueError(f"channels name {len(channels)} categories, but class_logits have shape {class_logits.shape}")
    if 0 not in channels:
        raise ValueError(f"channels need a 0 for no object, got {channels}")
