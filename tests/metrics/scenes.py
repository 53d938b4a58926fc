"""Panoptic maps for the tests of the metrics: things c and d, stuff g and s."""

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.evaluation.measures.matching import pair_segments
from tfpanoptic.segment_map import from_panoptic_map

TABLE = CategoryTable(tuple(Category(i, name, i <= 2, (0, 0, i), i) for i, name in enumerate("cdgs", start=1)))
CROWD = 10_000


def random_truth(seed, height=12, width=16):
    """Blocks of random segments, crowds and void, int32 [H, W]."""
    random = np.random.default_rng(seed)
    labels = np.array([0, CROWD, 10_001, 10_002, 10_003, 20_000, 20_001, 20_002, 30_000, 40_000], np.int32)
    return labels[random.integers(0, len(labels), (height // 4, width // 4)).repeat(4, 0).repeat(4, 1)]


def random_prediction(seed, truth):
    """The truth moved by a pixel or two, with some labels swapped for others."""
    random = np.random.default_rng([seed, 1])
    moved = np.roll(truth, random.integers(-2, 3, 2), (0, 1))
    return np.where(random.uniform(size=moved.shape) < 0.1, random_truth(seed + 1), moved)


def random_pair(seed):
    truth = random_truth(seed)
    return truth, random_prediction(seed, truth)


def updated(metric, *pairs):
    """The metric after one batch a pair of panoptic maps [H, W]."""
    for truth, prediction in pairs:
        metric.update_state(np.asarray(truth, np.int32)[None], np.asarray(prediction, np.int32)[None])
    return metric


def by_evaluation(measure, *pairs):
    """Summary of a measure of `tfpanoptic.evaluation`."""
    maps = [[from_panoptic_map(np.asarray(side, np.int32), TABLE) for side in pair] for pair in pairs]
    rows = [measure.count_rows(pair_segments(*pair, len(TABLE)), TABLE) for pair in maps]
    return measure.summarize_rows(np.concatenate(rows), TABLE)


def check_two_replicas(make_metric, strategy):
    """Fails unless the metric counts under a strategy what it counts on one device."""
    import tensorflow as tf

    truth, prediction = (np.stack(side) for side in zip(*map(random_pair, range(4)), strict=True))
    alone = make_metric()
    alone.update_state(truth, prediction)
    with strategy.scope():
        shared = make_metric()
    update = tf.function(lambda batch: strategy.run(shared.update_state, args=batch))
    data = tf.data.Dataset.from_tensor_slices((truth, prediction)).batch(2)
    for _ in range(2):
        shared.reset_state()
        for batch in strategy.experimental_distribute_dataset(data):
            update(batch)
        for name, value in alone.result().items():
            np.testing.assert_allclose(shared.result()[name], value, rtol=1e-12)
        assert shared.summary()["n"] == alone.summary()["n"] == len(TABLE)
