import json

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, SKY, TABLE, paired, random_pair, segments, side_by_side, variants
from tfpanoptic.evaluation.measures.semantic_iou import COLUMNS, count_rows, summarize_rows


def measured(*pairs):
    return summarize_rows(np.concatenate([count_rows(paired(*pair), TABLE) for pair in pairs]), TABLE)


def category_map(segment_map):
    """Category ids, int [H, W], 0 where void."""
    categories = np.zeros(segment_map.ids.shape, int)
    for row in segment_map.segments:
        categories[segment_map.ids == row["id"]] = row["category"]
    return categories


def by_masks(truth, prediction):
    """{name: IoU} of the categories that have any pixel, with masks."""
    true, predicted = category_map(truth), category_map(prediction)
    iou = {}
    for category in TABLE:
        true_mask, mask = true == category.id, (predicted == category.id) & (true > 0)
        if (true_mask | mask).any():
            iou[category.name] = np.sum(true_mask & mask) / np.sum(true_mask | mask)
    return iou


@pytest.mark.parametrize("seed", range(30))
def test_random_scenes_have_the_iou_of_their_masks(seed):
    pair = random_pair(seed)
    summary, expected = measured(pair), by_masks(*pair)
    assert {name: iou for name, iou in summary["per_category"].items() if iou is not None} == pytest.approx(expected)
    assert summary["miou"] == pytest.approx(np.mean(list(expected.values()))) and summary["n"] == len(expected)


def test_a_hand_computed_scene():
    truth = segments([[1, 1, 1, 1, 2, 2, 0, 0]], {1: CAR, 2: GRASS})
    prediction = segments([[5, 5, 6, 0, 7, 6, 6, 5]], {5: CAR, 6: CAR, 7: GRASS})
    # Cars: 3 of 4 found (one is void), and one of the grass's 2: 3 / 5. Grass: 1 / 2. 4 of 6 pixels are right.
    summary = measured((truth, prediction))
    assert summary["per_category"] == pytest.approx({"c": 0.6, "d": None, "g": 0.5, "s": None})
    assert summary["miou"] == pytest.approx(0.55) and summary["n"] == 2
    assert summary["pixel_accuracy"] == pytest.approx(4 / 6)


def test_rows_hold_the_pixels_of_every_confusion():
    truth = segments([[1, 1, 3, 2, 0]], {1: CAR, 2: GRASS, 3: CAR})
    prediction = segments([[0, 5, 6, 7, 7]], {5: CAR, 6: CAR, 7: SKY})
    assert count_rows(paired(truth, prediction), TABLE).tolist() == [[CAR, 0, 1], [CAR, CAR, 2], [GRASS, SKY, 1]]


def test_void_in_the_truth_is_left_out():
    truth = segments([[1, 1, 0, 0]], {1: CAR})
    assert measured((truth, segments([[5, 5, 6, 5]], {5: CAR, 6: DOG})))["per_category"] == {
        "c": 1.0,
        "d": None,
        "g": None,
        "s": None,
    }


def test_void_in_the_prediction_is_missed_by_the_true_category_and_is_none_itself():
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: GRASS})
    summary = measured((truth, segments([[5, 0, 6, 6]], {5: CAR, 6: GRASS})))
    assert summary["per_category"]["c"] == 0.5 and summary["per_category"]["g"] == 1.0 and summary["n"] == 2
    assert measured((truth, segments([[0] * 4], {})))["miou"] == 0


def test_a_category_that_is_only_predicted_counts_as_0():
    summary = measured((segments([[1, 1]], {1: CAR}), segments([[5, 6]], {5: CAR, 6: SKY})))
    assert summary["per_category"]["s"] == 0 and summary["miou"] == 0.25 and summary["n"] == 2


def test_a_crowd_counts_as_its_category():
    truth = segments([[1, 1, 2, 2]], {1: (CAR, "crowd"), 2: CAR})
    assert measured((truth, segments([[5, 0, 5, 5]], {5: CAR})))["miou"] == 0.75


def test_pixels_count_whatever_the_table_says():
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: GRASS}, areas=[50, 1])
    assert measured((truth, segments([[5, 5, 5, 6]], {5: CAR, 6: GRASS})))["per_category"]["c"] == 2 / 3


@pytest.mark.parametrize("seed", range(10))
def test_numbers_of_segments_and_mirrors_do_not_matter(seed):
    truth, prediction = random_pair(seed)
    for pair in variants(truth, prediction, seed):
        assert measured(pair) == measured((truth, prediction))


@pytest.mark.parametrize("seed", range(10))
def test_a_truth_against_itself_is_1(seed):
    truth = random_pair(seed)[0]
    summary = measured((truth, truth))
    assert summary["miou"] == summary["pixel_accuracy"] == 1


def test_two_images_are_as_one_that_holds_both():
    first, second = random_pair(1), random_pair(2)
    assert measured(first, second) == measured(tuple(side_by_side(*sides) for sides in zip(first, second)))


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
    summary = summarize_rows(rows, TABLE)
    assert summary["miou"] is None and summary["n"] == 0 and summary["pixel_accuracy"] is None
    assert set(summary["per_category"].values()) == {None}
