from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, SKY, TABLE, random_truth, renumbered, segments
from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.truth import truth_print

IDS = np.array([[1, 1, 2, 2], [1, 1, 2, 0]], np.int32)


def fingerprint(ids=IDS, first=CAR, second=GRASS, areas=None, categories=TABLE):
    return truth_print(segments(ids, {1: first, 2: second}, areas), categories)


@pytest.mark.parametrize("seed", range(5))
def test_ids_and_the_order_of_the_table_do_not_matter(seed):
    truth = random_truth(seed)
    other = renumbered(truth, seed)
    shuffled = replace(other, segments=np.random.default_rng(seed).permutation(other.segments))
    assert truth_print(truth, TABLE) == truth_print(shuffled, TABLE)


def test_categories_count_by_name():
    backwards = CategoryTable(tuple(replace(TABLE[5 - i], id=i) for i in range(1, 5)))
    assert fingerprint() == fingerprint(first=5 - CAR, second=5 - GRASS, categories=backwards)


@pytest.mark.parametrize(
    "other",
    [
        {"ids": np.array([[1, 1, 1, 2], [1, 2, 2, 0]], np.int32)},  # as many pixels of each
        {"ids": np.array([[1, 1, 2, 2], [1, 1, 0, 2]], np.int32)},
        {"ids": IDS.reshape(4, 2)},
        {"ids": np.array([[1, 1, 2, 2], [1, 1, 2, 2]], np.int32), "areas": [4, 3]},
        {"first": DOG},
        {"second": SKY},
        {"first": (CAR, "crowd")},
    ],
    ids=["outline", "void moved", "shape", "no void", "category", "stuff", "crowd"],
)
def test_another_segment_is_another_truth(other):
    assert fingerprint(**other).segments != fingerprint().segments


def test_areas_of_the_annotation_are_told_apart_from_the_segments():
    assert fingerprint(areas=[4, 3]) == fingerprint()
    wrong = fingerprint(areas=[4, 2])
    assert wrong.segments == fingerprint().segments and wrong.areas != fingerprint().areas
