import json

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, TABLE, paired, random_pair, segments, side_by_side, variants
from tfpanoptic.evaluation.measures.parsing_covering import COLUMNS, count_rows, summarize_rows


def measured(*pairs):
    return summarize_rows(np.concatenate([count_rows(paired(*pair), TABLE) for pair in pairs]), TABLE)


def by_masks(truth, prediction):
    """{name: covering} of the categories with a region, one region at a time with masks."""
    ignored = truth.ids == 0
    for row in truth.segments:
        ignored |= (truth.ids == row["id"]) & row["iscrowd"]
    covering = {}
    for category in TABLE:
        covered = weight = 0
        for true in truth.segments[(truth.segments["category"] == category.id) & ~truth.segments["iscrowd"]]:
            region, best = truth.ids == true["id"], 0
            for predicted in prediction.segments[prediction.segments["category"] == category.id]:
                mask = (prediction.ids == predicted["id"]) & ~ignored
                best = max(best, np.sum(region & mask) / np.sum(region | mask))
            covered += region.mean() * best
            weight += region.mean()
        if weight:
            covering[category.name] = covered / weight
    return covering


@pytest.mark.parametrize("seed", range(30))
def test_random_scenes_have_the_covering_of_their_masks(seed):
    pair = random_pair(seed)
    summary, expected = measured(pair), by_masks(*pair)
    found = {name: covering for name, covering in summary["per_category"].items() if covering is not None}
    assert found == pytest.approx(expected, rel=1e-12)
    assert summary["pc"] == pytest.approx(np.mean(list(expected.values()))) and summary["n"] == len(expected)


def test_a_hand_computed_scene():
    truth = segments([[1] * 6 + [2] * 2 + [3] * 2], {1: CAR, 2: CAR, 3: GRASS})
    prediction = segments([[4] * 4 + [5] * 4 + [6] * 2], {4: CAR, 5: CAR, 6: CAR})
    # Car 1 has 4/6 of 4, 2/8 of 5; car 2 has 2/4 of 5. Grass is covered by none of its category.
    assert count_rows(paired(truth, prediction), TABLE).tolist() == [
        [CAR, pytest.approx(0.6 * 4 / 6 + 0.2 * 2 / 4), pytest.approx(0.8)],
        [GRASS, 0, pytest.approx(0.2)],
    ]
    summary = measured((truth, prediction))
    # Cars: (6 * 4/6 + 2 * 2/4) / 8 = 5/8.
    assert summary["per_category"] == pytest.approx({"c": 5 / 8, "d": None, "g": 0, "s": None})
    assert summary["pc"] == pytest.approx(5 / 16) and summary["n"] == 2


def test_one_predicted_segment_can_cover_two_true_ones():
    truth = segments([[1, 1, 1, 2, 2]], {1: CAR, 2: CAR})
    # 3/5 and 2/5, weighted by 3/5 and 2/5.
    assert measured((truth, segments([[5] * 5], {5: CAR})))["pc"] == pytest.approx(13 / 25)


def test_void_leaves_the_predicted_areas():
    truth = segments([[1, 1, 0, 0]], {1: CAR})
    assert measured((truth, segments([[5] * 4], {5: CAR})))["pc"] == 1


def test_a_crowd_is_left_out_and_leaves_the_predicted_areas():
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: (CAR, "crowd")})
    assert measured((truth, segments([[5] * 4], {5: CAR})))["pc"] == 1
    assert measured((truth, segments([[5, 5, 0, 0]], {5: CAR})))["pc"] == 1
    assert measured((segments([[2, 2]], {2: (CAR, "crowd")}), segments([[5, 5]], {5: CAR})))["n"] == 0


def test_areas_are_pixels_whatever_the_table_says():
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: CAR}, areas=[50, 1])
    assert measured((truth, segments([[5, 5, 6, 0]], {5: CAR, 6: CAR})))["pc"] == pytest.approx(0.75)


def test_a_predicted_segment_that_covers_nothing_costs_nothing():
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: GRASS})
    assert measured((truth, segments([[5, 5, 6, 6]], {5: CAR, 6: DOG})))["per_category"] == {
        "c": 1.0,
        "d": None,
        "g": 0.0,
        "s": None,
    }


def test_a_large_image_weighs_no_more_than_a_small_one():
    small = segments([[1, 0]], {1: CAR}), segments([[0, 0]], {})
    large = segments([[1] * 20 + [0] * 20], {1: CAR}), segments([[5] * 40], {5: CAR})
    assert measured(small, large)["pc"] == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(10))
def test_numbers_of_segments_and_mirrors_do_not_matter(seed):
    truth, prediction = random_pair(seed)
    expected = measured((truth, prediction))
    for pair in variants(truth, prediction, seed):
        summary = measured(pair)
        assert summary["pc"] == pytest.approx(expected["pc"], rel=1e-12) and summary["n"] == expected["n"]


@pytest.mark.parametrize("seed", range(10))
def test_a_truth_against_itself_is_1(seed):
    truth = random_pair(seed)[0]
    assert measured((truth, truth))["pc"] == 1


def test_two_images_of_one_size_are_as_one_that_holds_both():
    first, second = random_pair(1), random_pair(2)
    joined = measured(tuple(side_by_side(*sides) for sides in zip(first, second)))
    assert measured(first, second)["per_category"] == pytest.approx(joined["per_category"], rel=1e-12)


def test_rows_and_summary_survive_json():
    rows = count_rows(paired(*random_pair(3)), TABLE)
    np.testing.assert_array_equal(json.loads(json.dumps(rows.tolist())), rows)
    json.dumps(summarize_rows(rows, TABLE), allow_nan=False)


@pytest.mark.parametrize("shape", [(0, 0), (3, 4)])
def test_nothing_but_void_has_no_rows(shape):
    empty = segments(np.zeros(shape), {})
    prediction = segments(np.full(shape, 5), {5: CAR} if shape[0] else {})
    rows = count_rows(paired(empty, prediction), TABLE)
    assert rows.shape == (0, len(COLUMNS)) and rows.dtype == np.float64
    assert summarize_rows(rows, TABLE) == {"pc": None, "n": 0, "per_category": dict.fromkeys("cdgs")}
