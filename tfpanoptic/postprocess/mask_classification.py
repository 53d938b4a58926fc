"""Merging of mask classification: each pixel to the query whose score times mask probability is the largest there.

One query is enlarged at a time, those that have a category and a sufficient score alone, so that a few maps do for all:
the largest product, and which query has it with whether the pixel lies in that query's own mask.

`merge_queries` does it at network size. `merge_queries_at_own_size` does it as published: logits are enlarged to the
network's size, the padding is cut off, and what is left is enlarged to the file's size and merged there.

Source: Kerssies et al. 2025 (EoMT); EoMT `training/lightning_module.py`. The rules are those of Cheng et al. 2021
(MaskFormer), section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from tfpanoptic.architecture import Segments
from tfpanoptic.ops.argmax import largest
from tfpanoptic.ops.gather import gather
from tfpanoptic.ops.resize import resize_bilinear, resize_bilinear_part
from tfpanoptic.ops.segments import count_keys, look_up
from tfpanoptic.ops.valid import valid_pixels
from tfpanoptic.panoptic_map import encode
from tfpanoptic.postprocess.instance_labels import labels_in_order


class Queries(NamedTuple):
    """Queries of each image, those that may become segments first, each part in its own order.

    Attributes:
        category: int32 `[B, Q]`, 0 for no-object.
        score: float32 `[B, Q]`, probability of the category, or of no-object.
        candidate: bool `[B, Q]`, whether it has a category and a sufficient score.
        order: int32 `[B, Q]`, which query it is.
    """

    category: Any
    score: Any
    candidate: Any
    order: Any


class Contest(NamedTuple):
    """What the candidates of an image have won.

    Attributes:
        owner: int32 `[B, H * W]`, 2 * place + 2 where the winner's own mask has the pixel, 2 * place + 1 where it has
            not, 0 where there is no winner.
        area: float32 `[B, Q]`, pixels of each candidate's mask.
        won: int32 `[B, Q]`, pixels that it wins.
        left: int32 `[B, Q]`, pixels of its mask that it wins.
    """

    owner: Any
    area: Any
    won: Any
    left: Any


def merge_queries(
    class_logits,
    mask_logits,
    size,
    valid_size,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    score: float,
    mask_threshold: float,
    overlap: float,
) -> Segments:
    """Segments of each image at network size: a row for each of Q queries, the candidates first, in their order.

    A candidate whose mask is empty, or that wins less than `overlap` of it, is dropped; the pixels that it won become
    void. Of another, the pixels of its mask that it wins are a segment. Queries of one stuff category are one segment,
    in the row of the first.

    Args:
        class_logits: float32 `[B, Q, K + 1]`.
        mask_logits: float32 `[B, h, w, Q]`.
        size: (H, W) of the network's input.
        valid_size: int32 `[B, 2]`; pixels outside are void and count nowhere.
        channels: category id of each of the K + 1 channels, 0 for no-object.
        thing_ids: category ids of the things.
        score: the class score of a candidate is larger.
        mask_threshold: probability from which on a pixel lies in a query's mask.
        overlap: share of its mask that a query must win.

    Returns:
        `Segments`; a score is the class score of the row's query.
    """
    queries = rank_queries(class_logits, channels, score)
    contest = contest_at_network_size(queries, mask_logits, size, valid_size, mask_threshold)
    return _segments(queries, contest, keeps(queries, contest, overlap), size, thing_ids)


def merge_queries_at_own_size(
    class_logits,
    mask_logits,
    size,
    valid_size,
    own_size,
    channels: tuple[int, ...],
    thing_ids: tuple[int, ...],
    score: float,
    mask_threshold: float,
    overlap: float,
) -> Segments:
    """As `merge_queries`, but at the images' own size, for images of one size.

    Args:
        valid_size: int32 `[B, 2]`, the same for all images.
        own_size: (H', W') of the images.
        class_logits, mask_logits, size, channels, thing_ids, score, mask_threshold, overlap: as in `merge_queries`.
    """
    queries = rank_queries(class_logits, channels, score)
    valid = (valid_size[0, 0], valid_size[0, 1])

    def enlarge(logits):
        return resize_bilinear_part(resize_bilinear(logits, size, align_corners=False), valid, own_size)

    everywhere = ops.ones((ops.shape(valid_size)[0], *own_size), "bool")
    contest = _contest(queries, mask_logits, enlarge, everywhere, mask_threshold)
    return _segments(queries, contest, keeps(queries, contest, overlap), own_size, thing_ids)


def rank_queries(class_logits, channels: tuple[int, ...], score: float) -> Queries:
    """The queries of each image with their categories, candidates first; arguments as in `merge_queries`."""
    probability, channel = largest(ops.softmax(ops.cast(class_logits, "float32"), axis=-1))
    category = gather(np.asarray(channels, np.int32), ops.squeeze(channel, -1))
    probability = ops.squeeze(probability, -1)
    candidate = ops.logical_and(category > 0, probability > score)
    count = class_logits.shape[1]
    place = np.arange(count, dtype=np.float32)
    order = ops.cast(ops.top_k(-ops.where(candidate, place, place + count), count)[1], "int32")
    category, probability, candidate = (look_up(values, order) for values in (category, probability, candidate))
    return Queries(category, probability, candidate, order)


def contest_at_network_size(queries: Queries, mask_logits, size, valid_size, mask_threshold: float) -> Contest:
    """Which candidate wins each valid pixel of the network's input; arguments as in `merge_queries`."""

    def enlarge(logits):
        return resize_bilinear(logits, size, align_corners=False)

    return _contest(queries, mask_logits, enlarge, valid_pixels(valid_size, size), mask_threshold)


def _contest(queries: Queries, mask_logits, enlarge: Callable, valid, mask_threshold: float) -> Contest:
    """Which candidate wins each pixel.

    Args:
        queries: of `rank_queries`.
        mask_logits: float32 `[B, h, w, Q]`.
        enlarge: maps float32 `[B, h, w, 1]` -> `[B, H, W, 1]`.
        valid: bool `[B, H, W]`, the pixels that count.
        mask_threshold: as in `merge_queries`.
    """
    low_height, low_width, count = ops.shape(mask_logits)[1:]
    maps = ops.reshape(ops.transpose(ops.cast(mask_logits, "float32"), (0, 3, 1, 2)), (-1, low_height, low_width, 1))
    image = ops.expand_dims(ops.arange(ops.shape(queries.order)[0], dtype="int32") * count, 1)
    map_of_place = image + queries.order
    places = np.arange(count, dtype=np.int32)
    # Of another image's candidates: no product with it is larger than anything.
    weight = ops.where(queries.candidate, queries.score, -np.inf)

    def add_query(place, best, owner, area):
        its_map, its_weight = ops.take(map_of_place, place, axis=1), ops.take(weight, place, axis=1)
        probability = ops.sigmoid(ops.squeeze(enlarge(ops.take(maps, its_map, axis=0)), -1))
        inside = probability >= mask_threshold
        its_area = ops.sum(ops.cast(ops.logical_and(inside, valid), "float32"), axis=(1, 2), keepdims=True)
        value = probability * _on_maps(its_weight)
        better = value > best
        # Of float32: TensorFlow keeps int32 of a loop on the host, even of tensors on a GPU.
        mark = ops.cast(2 * place + 1, "float32") + ops.cast(inside, "float32")
        return (
            place + 1,
            ops.where(better, value, best),
            ops.where(better, mark, owner),
            ops.where(places == place, ops.squeeze(its_area, -1), area),
        )

    candidates = ops.max(ops.sum(ops.cast(queries.candidate, "int32"), axis=1))
    # False. Made from both, as the batch's size may be known of one alone and a loop keeps its shapes.
    nowhere = ops.logical_and(valid, _on_maps(queries.category[:, 0] < 0))
    nobody = ops.logical_and(queries.category < 0, nowhere[:, :1, 0])
    start = (
        ops.zeros((), "int32"),
        ops.where(nowhere, 0.0, -1.0),
        ops.cast(nowhere, "float32"),
        ops.cast(nobody, "float32"),
    )
    _, _, owner, area = ops.while_loop(lambda place, *_: place < candidates, add_query, start)
    batch, height, width = ops.shape(valid)
    owner = ops.reshape(ops.cast(ops.where(valid, owner, 0.0), "int32"), (batch, height * width))
    pixels = ops.reshape(count_keys(owner, 2 * count + 1)[:, 1:], (-1, count, 2))
    return Contest(owner, area, ops.sum(pixels, axis=2), pixels[:, :, 1])


def keeps(queries: Queries, contest: Contest, overlap: float):
    """Which queries become segments, bool `[B, Q]`; `overlap` as in `merge_queries`."""
    share = ops.cast(contest.won, "float32") / ops.maximum(contest.area, 1.0)
    wins = ops.logical_and(contest.left > 0, share >= overlap)
    return ops.logical_and(queries.candidate, wins)


def _segments(queries: Queries, contest: Contest, kept, size, thing_ids: tuple[int, ...]) -> Segments:
    """The segments of the kept queries at (H, W), the rows being the places."""
    batch, count = ops.shape(kept)
    category, places = ops.where(kept, queries.category, 0), np.arange(count, dtype=np.int32)
    isthing = ops.any(ops.expand_dims(category, 2) == np.asarray([*thing_ids, -1], np.int32), axis=2)
    same = ops.expand_dims(category, 2) == ops.expand_dims(category, 1)  # [B, Q, Q]
    row = ops.where(isthing, places, ops.min(ops.where(same, places, count), axis=2))
    labels = ops.where(ops.logical_and(category > 0, row == places), encode(category, 0), 0)
    labels = ops.where(isthing, labels_in_order(ops.where(isthing, category, 0)), labels)

    row_number = ops.where(kept, row + 1, 0)
    row_of_owner = ops.reshape(ops.stack([ops.zeros_like(row_number), row_number], axis=2), (-1, 2 * count))
    segment_ids = look_up(ops.pad(row_of_owner, ((0, 0), (1, 0))), contest.owner)
    scores = ops.where(labels > 0, queries.score, 0.0)
    return Segments(ops.reshape(segment_ids, (batch, *size)), labels, scores)


def _on_maps(x):
    """`x` `[B]` as `[B, 1, 1]`."""
    return ops.reshape(x, (-1, 1, 1))
