"""At which rule of merging the queries of an image fall, so that people see which threshold leaves no segments.

A model that has hardly learned is sure of nothing: thresholds that suit a published one then leave no segment at all.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from tfpanoptic.postprocess.mask_classification import contest_at_network_size, keeps, rank_queries


def query_fates(
    class_logits,
    mask_logits,
    size,
    valid_size,
    channels: tuple[int, ...],
    score: float,
    mask_threshold: float,
    overlap: float,
) -> dict[str, Any]:
    """How many queries of each image fall at which rule of `merge_queries`, int32 `[B]` each; the sum is Q.

    Args: as in `merge_queries`.

    Returns:
        By rule, named as its setting, in the order in which they are applied:
            `no_object`: the most probable class is none
            `score`: the probability of the class is too low
            `mask_threshold`: that of the mask is too low at every pixel
            `overlap`: others win too much of the mask, or all of it
            `kept`: it becomes a segment, or joins one
    """
    queries = rank_queries(class_logits, channels, score)
    contest = contest_at_network_size(queries, mask_logits, size, valid_size, mask_threshold)
    kept = keeps(queries, contest, overlap)
    named, has_mask = queries.category > 0, contest.area > 0
    dropped = ops.logical_and(queries.candidate, ops.logical_not(kept))
    fates = {
        "no_object": ops.logical_not(named),
        "score": ops.logical_and(named, ops.logical_not(queries.candidate)),
        "mask_threshold": ops.logical_and(dropped, ops.logical_not(has_mask)),
        "overlap": ops.logical_and(dropped, has_mask),
        "kept": kept,
    }
    return {rule: ops.sum(ops.cast(fell, "int32"), axis=1) for rule, fell in fates.items()}
