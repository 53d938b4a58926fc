import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.kept_instances import kept_instances


def seeds(count):
    return np.stack([np.full(count, 5), np.arange(count)], axis=1).astype(np.int32)


def test_the_count_is_the_truncated_share_and_at_least_one():
    # int(0.7 n) of 0..10 is 0 0 1 2 2 3 4 4 5 6 7, and at least 1.
    exists = np.arange(10) < np.arange(11)[:, None]
    kept = kept_instances(seeds(11), exists, 0.7).numpy()
    assert kept.sum(axis=1).tolist() == [0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7]


@pytest.mark.parametrize("fraction", [0.07, 0.29, 0.57, 0.7, 1.0])
def test_the_count_does_not_suffer_from_float32(fraction):
    exists = np.arange(100) < np.arange(101)[:, None]
    kept = kept_instances(seeds(101), exists, fraction).numpy()
    assert kept.sum(axis=1).tolist() == [0, *(max(int(fraction * n), 1) for n in range(1, 101))]


def test_only_instances_that_exist_are_kept():
    exists = np.random.default_rng(0).uniform(size=(50, 9)) < 0.5
    assert not (kept_instances(seeds(50), exists, 0.7).numpy() & ~exists).any()


def test_every_instance_is_kept_equally_often():
    exists = np.tile(np.arange(8) < 6, (20_000, 1))
    kept = kept_instances(seeds(20_000), exists, 0.7).numpy().sum(axis=0)
    # Four of six each: 13,333 with a deviation of 67.
    assert np.abs(kept[:6] - 13_333).max() < 5 * 67 and not kept[6:].any()


def test_draws_differ_and_graphs_and_xla_agree():
    exists = np.ones((4, 30), bool)
    expected = kept_instances(seeds(4), exists, 0.5, draw=1).numpy()
    assert (expected != kept_instances(seeds(4), exists, 0.5, draw=2).numpy()).any()
    for compiled in (False, True):
        traced = tf.function(lambda s, e: kept_instances(s, e, 0.5, draw=1), jit_compile=compiled)
        np.testing.assert_array_equal(traced(seeds(4), exists), expected)
