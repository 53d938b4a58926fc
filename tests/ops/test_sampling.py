import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.sampling import choose, random_bits, random_uniform

SEEDS = np.array([[0, 0], [0, 1], [1, 0], [-(2**31), 2**31 - 1]], np.int32)


def murmur(x):
    """MurmurHash3's finalizer as published: unsigned, modulo 2**32."""
    x &= 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)


def plain_bits(seed, count, draw):
    """The numbers of one image in Python's own integers."""
    first, second = (int(value) & 0xFFFFFFFF for value in seed)
    key = murmur(first + (draw + 1) * 0x9E3779B1) ^ second
    unsigned = [murmur(murmur(place ^ murmur(key)) ^ key) for place in range(count)]
    return [value - 2**32 if value >= 2**31 else value for value in unsigned]


@pytest.mark.parametrize("draw", [0, 1, 7])
def test_the_bits_are_those_of_plain_integers(draw):
    expected = [plain_bits(seed, 20, draw) for seed in SEEDS]
    np.testing.assert_array_equal(random_bits(SEEDS, 20, draw), expected)


def test_the_numbers_of_an_image_all_differ():
    bits = random_bits(SEEDS, 200_000).numpy()
    assert all(len(np.unique(row)) == 200_000 for row in bits)


def test_uniform_numbers_fill_their_range_evenly():
    values = random_uniform(SEEDS, (400, 250)).numpy()
    assert values.shape == (4, 400, 250) and values.dtype == np.float32
    assert values.min() >= 0 and values.max() < 1
    counts = np.stack([np.histogram(row, 64, (0, 1))[0] for row in values])
    # Chi square of 63 degrees of freedom: mean 63, deviation 11.2.
    chi_square = ((counts - 100_000 / 64) ** 2 / (100_000 / 64)).sum(axis=1)
    assert (chi_square < 63 + 5 * 11.2).all()


def test_images_draws_and_neighbours_are_independent():
    values = [random_uniform(SEEDS, (50_000,), draw).numpy() for draw in (0, 1)]
    rows = np.concatenate(values)
    correlation = np.corrcoef(rows) - np.eye(8)
    # The deviation of a correlation of 50,000 independent pairs is 0.0045.
    assert np.abs(correlation).max() < 5 * 0.0045
    shifted = [np.corrcoef(row[:-1], row[1:])[0, 1] for row in rows]
    assert np.abs(shifted).max() < 5 * 0.0045


def test_a_choice_takes_candidates_only_and_each_once():
    candidates = np.random.default_rng(0).uniform(size=(4, 50)) < 0.5
    index, chosen = (part.numpy() for part in choose(SEEDS, candidates, 20))
    for image in range(4):
        picked = index[image][chosen[image]]
        assert len(picked) == 20 == len(set(picked)) and candidates[image][picked].all()


def test_where_candidates_are_few_all_are_chosen_and_the_places_behind_are_empty():
    candidates = np.zeros((4, 9), bool)
    candidates[:, [2, 5]] = True
    candidates[3] = False
    index, chosen = (part.numpy() for part in choose(SEEDS, candidates, 12))
    assert chosen.tolist() == [[True] * 2 + [False] * 10] * 3 + [[False] * 12]
    assert [sorted(row[:2]) for row in index[:3]] == [[2, 5]] * 3
    assert not index[~chosen].any()


def test_of_no_candidates_at_all_nothing_is_chosen():
    index, chosen = choose(SEEDS, np.zeros((4, 0), bool), 3)
    assert index.shape == chosen.shape == (4, 3) and not chosen.numpy().any() and not index.numpy().any()


def test_a_limit_holds_for_each_image():
    _, chosen = choose(SEEDS, np.ones((4, 30), bool), 8, limit=np.array([0, 3, 8, 20], np.int32))
    assert chosen.numpy().sum(axis=1).tolist() == [0, 3, 8, 8]


def test_every_candidate_is_chosen_equally_often():
    seeds = np.stack([np.full(20_000, 3), np.arange(20_000)], axis=1).astype(np.int32)
    candidates = np.tile(np.arange(10) != 4, (20_000, 1))
    index, chosen = choose(seeds, candidates, 3)
    counts = np.bincount(index.numpy()[chosen.numpy()], minlength=10)
    # Three of nine each: 20,000 / 3 = 6,667 with a deviation of 67.
    assert counts[4] == 0 and np.abs(np.delete(counts, 4) - 6_667).max() < 5 * 67


def test_a_choice_of_an_image_does_not_depend_on_the_batch():
    candidates = np.random.default_rng(1).uniform(size=(4, 50)) < 0.5
    together = choose(SEEDS, candidates, 20)[0].numpy()
    alone = [choose(SEEDS[i : i + 1], candidates[i : i + 1], 20)[0].numpy()[0] for i in range(4)]
    np.testing.assert_array_equal(together, alone)


def test_graphs_and_xla_give_the_same_numbers():
    candidates = np.random.default_rng(2).uniform(size=(4, 50)) < 0.5
    expected = choose(SEEDS, candidates, 20)
    for compiled in (False, True):
        function = tf.function(lambda s, c: choose(s, c, 20), jit_compile=compiled)
        for ours, theirs in zip(function(SEEDS, candidates), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


OTHER = """
import sys
sys.modules["tensorflow"] = None
import keras
import numpy as np
from tfpanoptic.ops.sampling import choose, random_uniform
seeds = keras.ops.convert_to_tensor(np.array({seeds}, np.int32))
candidates = keras.ops.convert_to_tensor(np.arange(40).reshape(4, 10) % 3 > 0)
index, chosen = choose(seeds, candidates, 12, draw=2)
values = random_uniform(seeds, (5,), draw=1)
print([keras.ops.convert_to_numpy(part).tolist() for part in (index, chosen, values)])
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_numbers(backend):
    pytest.importorskip(backend)
    run = subprocess.run(
        [sys.executable, "-c", OTHER.format(seeds=SEEDS.tolist())],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    index, chosen = choose(SEEDS, np.arange(40).reshape(4, 10) % 3 > 0, 12, draw=2)
    values = random_uniform(SEEDS, (5,), draw=1)
    expected = str([part.numpy().tolist() for part in (index, chosen, values)])
    assert run.stdout.strip() == expected, run.stderr[-2000:]
