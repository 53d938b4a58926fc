"""Compiled functions against the same functions run by TensorFlow, and their parts against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic import compiled as module
from tfpanoptic.compiled import LAST, SIZES, TABLES, roomy, row_of, with_tables
from tfpanoptic.data.augmentation.resampling import view
from tfpanoptic.targets.centers import panoptic_deeplab_targets


@pytest.fixture(params=[1, 1 << 62], ids=["compiled", "plain"])
def fewest(request, monkeypatch):
    monkeypatch.setattr(module, "FEWEST", request.param)


@pytest.fixture(scope="module")
def scene():
    """uint8 [37, 50, 3], and a panoptic map of blocks: void, stuff, a crowd and instances."""
    random = np.random.default_rng(0)
    labels = np.array([0, 10_000, 20_000, 20_001, 20_002, 20_017, 30_001], np.int32)
    return random.integers(0, 256, (37, 50, 3), np.uint8), np.kron(
        random.choice(labels, (10, 13)), np.ones((4, 4), int)
    )


def test_a_view_is_the_interpolated_image_and_the_nearest_labels(scene, fewest):
    image, panoptic = scene[0], scene[1][:37, :50].astype(np.int32)
    rows, columns = np.linspace(36, 3.25, 20, dtype=np.float32), np.linspace(0.4, 48.9, 31, dtype=np.float32)
    pixels, labels = view(*map(tf.constant, (image, panoptic, rows, columns)), (24, 33))
    y, x = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, across = (rows - y)[:, None, None], (columns - x)[None, :, None]
    bottom, right = np.minimum(y + 1, 36), np.minimum(x + 1, 49)
    upper = image[y][:, x] * (1 - across) + image[y][:, right] * across
    lower = image[bottom][:, x] * (1 - across) + image[bottom][:, right] * across
    np.testing.assert_allclose(pixels[:20, :31], upper * (1 - down) + lower * down, atol=1e-3)
    nearest = panoptic[np.floor(rows + 0.5).astype(int)][:, np.floor(columns + 0.5).astype(int)]
    np.testing.assert_array_equal(labels[:20, :31], nearest)
    for values in (pixels, labels):
        assert not np.any(values[20:]) and not np.any(values[:, 31:])


def test_targets_are_the_same_to_the_bit(scene, monkeypatch):
    panoptic, found = tf.constant(scene[1], tf.int32), []
    for least in (1, 1 << 62):
        monkeypatch.setattr(module, "FEWEST", least)
        found.append(panoptic_deeplab_targets(panoptic, (2, 3)))
    assert found[0].keys() == found[1].keys()
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name], err_msg=name)


def test_without_xla_operators_run_one_by_one(monkeypatch):
    def refuse(function, jit_compile=None, **options):
        if jit_compile:
            raise tf.errors.InvalidArgumentError(None, None, "XLA_CPU_JIT is not registered")
        return function

    monkeypatch.setattr(tf, "function", refuse)
    module.xla_is_there.cache_clear()
    try:
        assert not module.xla_is_there()
        assert int(module.compiled(lambda x: x + 1)(tf.constant(2))) == 3
    finally:
        module.xla_is_there.cache_clear()


@pytest.mark.parametrize("count", [1, 31, 32, 300])
def test_rows_are_those_of_a_search_whatever_the_length_of_the_table(count):
    random = np.random.default_rng(count)
    table = np.sort(random.choice(1 << 24, count, replace=False)).astype(np.int32)
    labels = random.integers(table[0], 1 << 24, (5, 40), np.int32)
    rows = with_tables(lambda padded: row_of(tf.constant(labels), padded), [tf.constant(table)], [LAST])
    np.testing.assert_array_equal(rows, np.searchsorted(table, labels, side="right") - 1)


def test_room_is_never_less_and_at_most_half_more():
    for length in (1, 16, 17, 24, 25, 1000, 2_000_000):
        assert length <= int(roomy(tf.constant(length))) <= max(SIZES[0], 1.5 * length)
    assert all(length & (length - 1) == 0 for length in TABLES.tolist())  # bisection halves them
