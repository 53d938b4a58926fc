"""How sure panoptic quality is: its interval by the percentile bootstrap over images.

As many images as there are, are drawn with repetition, again and again; each draw is evaluated as if it were the
data, and the middle 95 % of the results are the interval. It tells what another choice of such images would have
changed, and nothing of another training run. From few images, or few with a rare category, it comes out too narrow.

Source: Efron 1979; percentile interval: Efron & Tibshirani 1993, chapter 13. Own choices: a draw's means are over the
categories that have segments in it, the rule of the evaluation itself; a category in fewer than two images has no
interval, as every draw that holds it gives the same number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.state import Evaluation

LEVEL = 0.95
RESAMPLES = 1000
# Fewer have no tails of 2.5 %; with more, the qualities of all draws fill the memory.
RESAMPLES_LIMITS = (100, 10_000)
GROUPS = ("all", "things", "stuff")
QUALITIES = ("pq", "sq", "rq")
LEAST_IMAGES = 2
# Draws at a time: one matrix product for each block, whose weights are small beside the counters.
BLOCK = 64


def pq_intervals(evaluation: Evaluation, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Intervals of PQ, SQ and RQ as fractions, for all categories, things, stuff and each category.

    Returns:
        `{"images", "resamples", "seed", "level", "all": {"pq": [low, high], "sq", "rq", "images"}, "things": ...,
        "stuff": ..., "per_category": {name: the same}}`. `images` is how many have such segments; with fewer than
        two there is None in place of an interval.

    Raises:
        InputError: the evaluation has no counters of "pq", or `resamples` or `seed` is out of range.
    """
    categories = evaluation.categories
    counters = image_counters(evaluation)
    (qualities,) = resampled_qualities([counters], categories, resamples, seed)
    images = images_with_segments(counters, categories)
    low, high = intervals(qualities, images)
    entries = [
        {**{name: interval_or_none(*ends) for name, ends in zip(QUALITIES, zip(*row, strict=True))}, "images": int(n)}
        for row, n in zip(zip(low, high, strict=True), images, strict=True)
    ]
    told = {"images": len(evaluation), "resamples": resamples, "seed": seed, "level": LEVEL}
    return {**told, **by_entry(entries, categories)}


def lost_by_image(evaluation: Evaluation) -> dict[str, float]:
    """Each image's share of the lost PQ, as a fraction; all together are 1 - PQ.

    A category lacks (sum of (1 - IoU) over its matches + FP/2 + FN/2) / D to a PQ of 1, D = TP + FP/2 + FN/2, and
    these sums are over images; the mean over the n categories with segments divides them by n. See `attribution`.

    Returns:
        by the images' names, in their order; 0 for all if there is no segment.

    Raises:
        InputError: the evaluation has no counters of "pq".
    """
    counters = image_counters(evaluation)
    weight = _weight(counters)  # [N, C]
    total = weight.sum(axis=0)
    present = total > 0
    shares = (weight - counters[..., 0])[:, present] / total[present] / max(1, present.sum())
    return dict(zip(sorted(evaluation.images), shares.sum(axis=1).tolist(), strict=True))


def quality_by_image(evaluation: Evaluation) -> list[dict]:
    """PQ, SQ and RQ of each image as if it were alone, in the order of the images' names.

    Returns:
        `{"image_id", "file_name", "pq", "sq", "rq", "tp", "fp", "fn"}` of each: fractions, the means over the
        categories with segments in it, None without any; matched, wrong and missed segments of all categories. The
        mean over images is not the PQ of all, which adds the counters of all images first.

    Raises:
        InputError: the evaluation has no counters of "pq".
    """
    counters = image_counters(evaluation)
    qualities = _qualities(counters, _members(evaluation.categories))[:, 0]  # [N, 3], those of all categories
    numbers = counters[..., 1:].sum(axis=1).astype(np.int64)
    return [
        {
            "image_id": image.image_id,
            "file_name": image.file_name or image.name,
            **{name: None if np.isnan(value) else float(value) for name, value in zip(QUALITIES, own, strict=True)},
            **dict(zip(("tp", "fp", "fn"), counts, strict=True)),
        }
        for image, own, counts in zip(evaluation.in_order(), qualities, numbers.tolist(), strict=True)
    ]


def image_counters(evaluation: Evaluation, name: str = "the evaluation") -> np.ndarray:
    """Counters of each image and category, float64 `[N, C, 4]`: sum of IoU, TP, FP, FN; images in their order.

    Args:
        evaluation: with the counters of "pq".
        name: of it, for messages.

    Raises:
        InputError: the evaluation has no counters of "pq".
    """
    if "pq" not in evaluation.measures:
        raise InputError(f"{name} has no counters of 'pq', only of {', '.join(evaluation.measures) or 'nothing'}")
    counters = np.zeros((len(evaluation), len(evaluation.categories) + 1, 4))
    for of_image, image in zip(counters, evaluation.in_order(), strict=True):
        rows = image.rows["pq"]
        np.add.at(of_image, rows[:, 0].astype(np.int64), rows[:, 1:])
    return counters[:, 1:]


def images_with_segments(counters: np.ndarray, categories: CategoryTable) -> np.ndarray:
    """How many images have segments of each group and category; int64 `[3 + C]`, groups as in `GROUPS`."""
    present = _weight(counters) > 0  # [N, C]
    groups = [present[:, members].any(axis=1) for members in _members(categories)]
    return np.concatenate([np.sum(groups, axis=1), present.sum(axis=0)])


def resampled_qualities(
    tables: Sequence[np.ndarray], categories: CategoryTable, resamples: int, seed: int
) -> list[np.ndarray]:
    """PQ, SQ and RQ in each draw; the same images are drawn for all tables.

    Args:
        tables: of `image_counters`, float64 `[N, C, 4]` each, of the same images and categories.
        categories: of the tables.
        resamples: number of draws, R.
        seed: of the draws.

    Returns:
        float64 `[R, 3 + C, 3]` for each table: groups as in `GROUPS`, then categories; NaN where the draw has no
        segment.

    Raises:
        InputError: `resamples` or `seed` is out of range.
    """
    least, most = RESAMPLES_LIMITS
    if not least <= resamples <= most:
        raise InputError(f"resamples: expected {least}..{most}, found {resamples}")
    if seed < 0:
        raise InputError(f"seed: expected 0 or more, found {seed}")
    members = _members(categories)
    flat = [table.reshape(len(table), 4 * len(categories)) for table in tables]
    blocks: list[list[np.ndarray]] = [[] for _ in tables]
    for times in _draws(len(tables[0]), resamples, seed):
        for found, table in zip(blocks, flat, strict=True):
            found.append(_qualities((times @ table).reshape(len(times), -1, 4), members))
    return [np.concatenate(found) for found in blocks]


def intervals(values: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The middle 95 % of the draws.

    Args:
        values: float64 `[R, E, 3]`, NaN where a draw has no value.
        images: int64 `[E]`, images that the values of an entry rest on.

    Returns:
        float64 `[2, E, 3]`, low and high; NaN for entries of fewer than two images.
    """
    ends = np.full((2, *values.shape[1:]), np.nan)
    enough = images >= LEAST_IMAGES
    if enough.any():
        ends[:, enough] = np.nanquantile(values[:, enough], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends


def interval_or_none(low: float, high: float) -> list[float] | None:
    """An interval as JSON holds it: None for NaN."""
    return None if np.isnan(low) else [float(low), float(high)]


def by_entry(entries: Sequence[dict], categories: CategoryTable) -> dict:
    """`{"all": ..., "things": ..., "stuff": ..., "per_category": {name: ...}}` of entries in the order `[3 + C]`."""
    names = [category.name for category in categories]
    per_category = dict(zip(names, entries[len(GROUPS) :], strict=True))
    return {**dict(zip(GROUPS, entries)), "per_category": per_category}


def _members(categories: CategoryTable) -> np.ndarray:
    """Which categories are in each group; bool `[3, C]`."""
    isthing = categories.isthing[1:]
    return np.stack([np.ones_like(isthing), isthing, ~isthing])


def _draws(images: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each image is in each draw; blocks of float64 `[up to BLOCK, N]`."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        drawn = random.integers(max(images, 1), size=(size, images))
        place = drawn + np.arange(size)[:, None] * images
        yield np.bincount(place.ravel(), minlength=size * images).reshape(size, images).astype(np.float64)


def _weight(counters: np.ndarray) -> np.ndarray:
    """TP + FP/2 + FN/2 of counters `[..., 4]`."""
    return counters[..., 1] + 0.5 * (counters[..., 2] + counters[..., 3])


def _qualities(sums: np.ndarray, members: np.ndarray) -> np.ndarray:
    """PQ, SQ and RQ of summed counters `[R, C, 4]` by category and as means; float64 `[R, 3 + C, 3]`."""
    iou, tp, weight = sums[..., 0], sums[..., 1], _weight(sums)
    present = weight > 0
    divisor = np.where(present, weight, 1.0)
    values = np.stack([iou / divisor, iou / np.maximum(tp, 1), tp / divisor], axis=-1)  # [R, C, 3]
    inside = members.astype(np.float64)
    number = present @ inside.T  # [R, 3]
    # Values of absent categories are 0 here, so that they add nothing.
    means = inside @ values / np.maximum(number, 1)[..., None]  # [R, 3, 3]
    means[number == 0] = np.nan
    values[~present] = np.nan
    return np.concatenate([means, values], axis=1)
