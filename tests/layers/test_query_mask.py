"""Which patches a query may attend to."""

import numpy as np
import pytest

from tfpanoptic.layers.query_mask import QueryMask

PATCHES = np.zeros((1, 1, 2, 3), "float32")


def visible(layer, logits, step, seeds=1, training=True):
    """Of images with the same logits [H, W, Q], bool [B, Q, 2]."""
    maps = np.repeat(np.asarray(logits, "float32")[None], seeds, axis=0)
    patches = np.repeat(PATCHES, seeds, axis=0)
    seed = np.stack([np.arange(seeds), np.zeros(seeds)], 1).astype("int32")
    return np.asarray(layer(maps, patches, seed, np.full(seeds, step, "int32"), training=training))


def left_only(value=1.0):
    """Logits of one query on 4 x 8 cells: positive in the inner two columns of the left patch's cells alone."""
    logits = np.full((4, 8, 1), -1.0)
    logits[1:3, 1:3] = value
    return logits


def test_the_middle_of_a_patch_decides():
    """At a quarter of the size the mean of the middle 2 x 2 of 4 x 4 cells."""
    np.testing.assert_array_equal(visible(QueryMask(5, 9), left_only(), 0), [[[True, False]]])


def test_a_logit_of_zero_is_not_visible():
    np.testing.assert_array_equal(visible(QueryMask(5, 9), left_only(0.0), 0), [[[False, False]]])


def test_outside_training_all_is_visible():
    assert visible(QueryMask(5, 9), left_only(), 0, training=False).all()


def test_from_the_end_on_all_is_visible():
    assert visible(QueryMask(5, 9), left_only(), 9, seeds=500).all()


def test_between_the_steps_a_share_of_the_queries_is_masked():
    """Half way, (1 - 0.5) ** 0.9 = 0.536 of them."""
    masked = ~visible(QueryMask(0, 10), left_only(), 5, seeds=4000).all(axis=2)
    assert masked.mean() == pytest.approx(0.5**0.9, abs=0.03)


def test_an_end_before_the_start_is_refused():
    with pytest.raises(ValueError, match="above start 5, got 5"):
        QueryMask(5, 5)
