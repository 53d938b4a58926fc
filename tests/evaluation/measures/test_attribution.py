import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, SKY, TABLE, clean, paired, random_pair, segments, variants
from tfpanoptic.evaluation.measures import panoptic_quality
from tfpanoptic.evaluation.measures.attribution import CAUSES, NO_ERROR, causes, count_rows, summarize_rows


def told(truth, prediction):
    """Causes by name: ({true id: cause}, {predicted id: cause}), of the errors alone."""
    pairs = paired(truth, prediction)
    of_true, of_predicted, _ = causes(pairs, TABLE)
    return tuple(
        {int(i): CAUSES[c] for i, c in zip(side.segments["id"], found, strict=True) if c != NO_ERROR}
        for side, found in ((truth, of_true), (prediction, of_predicted))
    )


def measured(*pairs):
    return summarize_rows(np.concatenate([count_rows(paired(*pair), TABLE) for pair in pairs]), TABLE)


def test_one_object_under_two_categories_is_a_wrong_category():
    assert told(segments([[1] * 4], {1: CAR}), segments([[5] * 4], {5: DOG})) == (
        {1: "wrong_category"},
        {5: "wrong_category"},
    )


def test_a_thing_taken_for_stuff_is_told_apart_from_a_wrong_category():
    assert told(segments([[1] * 4], {1: CAR}), segments([[5] * 4], {5: GRASS})) == (
        {1: "stuff_thing"},
        {5: "stuff_thing"},
    )


def test_a_true_segment_in_two_pieces_was_split():
    # The halves have IoU 1/2, which is no match.
    truth = segments([[1] * 4], {1: CAR})
    assert told(truth, segments([[5, 5, 6, 6]], {5: CAR, 6: CAR})) == ({1: "split"}, {5: "split", 6: "split"})


def test_a_splinter_of_a_found_segment_was_split_off():
    truth = segments([[1] * 8], {1: CAR})
    assert told(truth, segments([[5] * 6 + [6] * 2], {5: CAR, 6: CAR})) == ({}, {6: "split"})


def test_two_true_segments_in_one_prediction_were_merged():
    prediction = segments([[5] * 4], {5: CAR})
    assert told(segments([[1, 1, 2, 2]], {1: CAR, 2: CAR}), prediction) == ({1: "merged", 2: "merged"}, {5: "merged"})
    # 3 of 4 pixels are a match; the small one is lost in it.
    assert told(segments([[1, 1, 1, 2]], {1: CAR, 2: CAR}), prediction) == ({2: "merged"}, {})


def test_neighbours_of_other_categories_are_not_merged():
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: DOG})
    # IoU 1/2 with the car: a poor boundary, and the dog is missed.
    assert told(truth, segments([[5] * 4], {5: CAR})) == ({1: "boundary", 2: "missed"}, {5: "boundary"})


@pytest.mark.parametrize(("shared", "cause"), [(5, "boundary"), (4, "missed")])
def test_a_boundary_is_poor_above_an_iou_of_three_tenths(shared, cause):
    # 10 pixels each: 5 shared give 5 / 15 = 0.33; 4 shared give 4 / 16 = 0.25.
    apart = 10 - shared
    truth = segments(
        [[1] * 10 + [2 + i // 2 for i in range(apart)]], {1: CAR, **{2 + i // 2: SKY for i in range(apart)}}
    )
    prediction = segments([[0] * apart + [5] * 10], {5: CAR})
    of_true, of_predicted = told(truth, prediction)
    assert of_true[1] == cause and of_predicted[5] == ("boundary" if cause == "boundary" else "spurious")


def test_what_overlaps_nothing_of_its_kind_is_missed_and_spurious():
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: GRASS})
    assert told(truth, segments([[0, 0, 5, 6]], {5: DOG, 6: GRASS})) == (
        {1: "missed", 2: "boundary"},
        {5: "spurious", 6: "boundary"},
    )


def test_crowds_and_segments_on_void_are_no_errors():
    truth = segments([[1, 1, 0, 0]], {1: (CAR, "crowd")})
    assert told(truth, segments([[5, 5, 6, 6]], {5: CAR, 6: DOG})) == ({}, {})


def test_lost_points_and_fixes_of_a_scene_worked_by_hand():
    # Cars: 1 matches with IoU 4/5 (void 5th pixel of the truth is grass 9), 2 is missed, 6 is spurious.
    truth = segments([[1, 1, 1, 1, 9, 2, 2, 9, 9, 9]], {1: CAR, 2: CAR, 9: GRASS})
    prediction = segments([[5, 5, 5, 5, 5, 0, 0, 6, 9, 9]], {5: CAR, 6: CAR, 9: GRASS})
    result = measured((truth, prediction))
    # D = 1 + 1/2 + 1/2 = 2 and the sum of IoU is 0.8: PQ 0.4. Grass: 2 of 4 pixels, IoU 1/2, no match: PQ 0.
    cars = result["per_category"]["c"]
    assert cars["lost"] == pytest.approx(0.6)
    assert cars["causes"]["imprecise"]["lost"] == pytest.approx(0.2 / 2)
    assert cars["causes"]["missed"]["lost"] == cars["causes"]["spurious"]["lost"] == pytest.approx(0.5 / 2)
    # Fixed: found as well as the other car, (0.8 + 0.8) / 2.5; without the spurious one, 0.8 / 1.5; exact, 1 / 2.
    assert cars["causes"]["missed"]["if_fixed"] == pytest.approx(1.6 / 2.5)
    assert cars["causes"]["spurious"]["if_fixed"] == pytest.approx(0.8 / 1.5)
    assert cars["causes"]["imprecise"]["if_fixed"] == pytest.approx(1 / 2)
    # All: the mean of cars and grass; grass has no match, so its fix takes the SQ of the cars.
    assert result["all"]["lost"] == pytest.approx((0.6 + 1) / 2)
    assert result["all"]["causes"]["boundary"] == pytest.approx(
        {"lost": 1 / 2, "if_fixed": (0.4 + 0.8) / 2, "fp": 1, "fn": 1}
    )


def test_a_wrong_category_is_fixed_with_the_iou_it_has():
    truth = segments([[1] * 4], {1: CAR})
    result = measured((truth, segments([[5, 5, 5, 0]], {5: DOG})))
    # The car becomes a match with IoU 3/4, and the dogs have no segment left: the mean is over the cars alone.
    assert result["all"]["causes"]["wrong_category"]["if_fixed"] == pytest.approx(0.75)


@pytest.mark.parametrize("seed", range(40))
def test_the_causes_add_up_to_what_pq_lacks(seed):
    scenes = [random_pair(seed), random_pair(seed + 100)]
    rows = np.concatenate([panoptic_quality.count_rows(paired(*scene), TABLE) for scene in scenes])
    quality = panoptic_quality.summarize_rows(rows, TABLE)
    result = measured(*scenes)
    for group in ("all", "things", "stuff"):
        if quality[group]["pq"] is None:
            assert result[group] == {"lost": None, "causes": {}}
            continue
        assert result[group]["lost"] == pytest.approx(1 - quality[group]["pq"])
        assert sum(c["lost"] for c in result[group]["causes"].values()) == pytest.approx(result[group]["lost"])
    for name, row in quality["per_category"].items():
        counted = result["per_category"][name]["causes"].values()
        assert [sum(c[key] for c in counted) for key in ("fp", "fn")] == [row["fp"], row["fn"]]


@pytest.mark.parametrize("seed", range(20))
def test_a_fix_never_lowers_a_categorys_quality(seed):
    result = measured(random_pair(seed), random_pair(seed + 500))
    for row in result["per_category"].values():
        for cause in row["causes"].values():
            assert cause["if_fixed"] is None or cause["if_fixed"] >= 1 - row["lost"] - 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_numbers_and_sides_do_not_matter(seed):
    pair = random_pair(seed)
    for variant in variants(*pair, seed):
        assert measured(variant) == measured(pair)


def test_a_map_against_itself_loses_nothing():
    scene = clean(random_pair(3)[0])
    result = measured((scene, scene))
    assert result["all"]["lost"] == 0
    assert all(cause["lost"] == 0 and cause["if_fixed"] == 1 for cause in result["all"]["causes"].values())


def test_nothing_at_all_has_no_causes():
    empty = segments([[0, 0]], {})
    assert measured((empty, empty))["all"] == {"lost": None, "causes": {}}
