"""Small scenes for the tests of the measures: things c and d, stuff g and s."""

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.evaluation.measures.matching import pair_segments
from tfpanoptic.segment_map import SegmentMap, extents, segment_rows

TABLE = CategoryTable(tuple(Category(i, name, i <= 2, (0, 0, i), i) for i, name in enumerate("cdgs", start=1)))
CAR, DOG, GRASS, SKY = 1, 2, 3, 4


def segments(ids, rows, areas=None):
    """Segment map from pixel ids and {id: category or (category, "crowd")}, in that order."""
    ids = np.asarray(ids, np.int32)
    categories = [row[0] if isinstance(row, tuple) else row for row in rows.values()]
    crowds = [isinstance(row, tuple) for row in rows.values()]
    areas = extents(ids).of(list(rows)).areas if areas is None else areas
    return SegmentMap(ids, segment_rows(list(rows), categories, crowds, areas))


def paired(truth, prediction):
    return pair_segments(truth, prediction, len(TABLE))


def random_truth(seed):
    """Blocks of segments and void, with crowds; areas differ from the pixels."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, 10, (3, 5)).repeat(8, 0).repeat(8, 1) * 7
    rows = {}
    for i in random.permutation(np.unique(ids[ids > 0])).tolist():
        category = i // 7 % 4 + 1
        rows[i] = (category, "crowd") if category in (CAR, DOG) and random.uniform() < 0.4 else category
    return segments(ids, rows, extents(ids).of(list(rows)).areas + random.integers(-6, 7, len(rows)))


def random_prediction(seed, truth):
    """The truth moved by up to a pixel, with some blocks of other segments."""
    random = np.random.default_rng([seed, 1])
    ids = np.roll(truth.ids, random.integers(-1, 2, 2), (0, 1))
    other = random.uniform(size=(6, 10)).repeat(4, 0).repeat(4, 1) < 0.15
    ids = np.where(other, random.integers(0, 10, (6, 10)).repeat(4, 0).repeat(4, 1) * 7, ids)
    return segments(ids, {i: i // 7 % 4 + 1 for i in random.permutation(np.unique(ids[ids > 0])).tolist()})


def random_pair(seed):
    truth = random_truth(seed)
    return truth, random_prediction(seed, truth)


def clean(truth):
    """The scene without crowds, areas as counted: it can be its own prediction."""
    rows = truth.segments[~truth.segments["iscrowd"]]
    ids = np.where(np.isin(truth.ids, rows["id"]), truth.ids, 0)
    return segments(ids, dict(zip(rows["id"].tolist(), rows["category"].tolist(), strict=True)))


def renumbered(segment_map, seed):
    """The map under other segment ids, some of them large."""
    rows = segment_map.segments.copy()
    table = np.zeros(rows["id"].max(initial=0) + 1, np.int32)
    table[rows["id"]] = np.random.default_rng(seed).choice((1 << 24) - 1, len(rows), replace=False) + 1
    rows["id"] = table[rows["id"]]
    return SegmentMap(table[segment_map.ids], rows)


def mirrored(segment_map, axis):
    return SegmentMap(np.flip(segment_map.ids, axis), segment_map.segments)


def variants(truth, prediction, seed):
    """Pairs that every measure must take for the same."""
    yield renumbered(truth, seed), renumbered(prediction, seed + 1)
    for axis in (0, 1):
        yield mirrored(truth, axis), mirrored(prediction, axis)


def side_by_side(first, second):
    """One image of two, their segments kept apart."""
    step = 1000
    ids = np.concatenate([first.ids, np.where(second.ids > 0, second.ids + step, 0)], axis=1)
    rows = second.segments.copy()
    rows["id"] += step
    return SegmentMap(ids, np.concatenate([first.segments, rows]))
