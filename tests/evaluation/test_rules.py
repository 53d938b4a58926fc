"""Each rule by hand, on small scenes; categories c and d are things, g and s stuff."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, TABLE, segments
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.compare import compare
from tfpanoptic.evaluation.counting import count_maps, evaluate_files
from tfpanoptic.evaluation.measures import FAST, MEASURES
from tfpanoptic.evaluation.pairs.coco import read_coco_files
from tfpanoptic.evaluation.rules import OFFICIAL, Rules
from tfpanoptic.evaluation.state import merge
from tfpanoptic.evaluation.summary import summarize

MOST = (*FAST, "boundary", "ap")


def numbers(truth, prediction, rules, measure="pq"):
    """What a measure says of one image, counted by the rules."""
    counts = count_maps("a", truth, prediction, TABLE, MOST, {}, rules)
    return MEASURES[measure].summarize_rows(counts.rows[measure], rules.table(TABLE))


def counters(truth, prediction, rules):
    """(TP, FP, FN) of each category that has any."""
    rows = numbers(truth, prediction, rules)["per_category"]
    return {name: (row["tp"], row["fp"], row["fn"]) for name, row in rows.items() if row["pq"] is not None}


def row_of(*lengths):
    """One row of ids 0, 1, 2, .. of these lengths, four pixels high."""
    return np.repeat(np.arange(len(lengths)), lengths)[None].repeat(4, 0)


TRUE_CELL = segments(row_of(8, 4), {1: CAR})  # void, then a cell
TWO_CELLS = segments(row_of(0, 3, 5, 4), {1: CAR, 2: CAR, 3: CAR})  # the first two on the void


def test_void_as_background_makes_what_is_predicted_there_wrong():
    assert counters(TRUE_CELL, TWO_CELLS, OFFICIAL) == {"c": (1, 0, 0)}
    rules = Rules(void_background=True)
    assert counters(TRUE_CELL, TWO_CELLS, rules) == {"c": (1, 2, 0)}
    assert numbers(TRUE_CELL, TWO_CELLS, rules)["all"]["pq"] == pytest.approx(1 / (1 + 2 / 2))
    assert numbers(TRUE_CELL, TWO_CELLS, rules, "boundary")["all"]["pq"] == pytest.approx(1 / (1 + 2 / 2))
    # Pixels: 4 x 4 are right, 4 x 8 are called a cell in the background.
    assert numbers(TRUE_CELL, TWO_CELLS, rules, "miou")["miou"] == pytest.approx(16 / 48)
    assert numbers(TRUE_CELL, TWO_CELLS, rules, "miou")["pixel_accuracy"] == pytest.approx(16 / 48)


def test_background_is_part_of_unions_and_nobody_misses_it():
    larger = segments(row_of(6, 6), {1: CAR})  # two columns of it on the void
    assert numbers(TRUE_CELL, larger, OFFICIAL)["all"]["sq"] == 1
    rules = Rules(void_background=True)
    assert numbers(TRUE_CELL, larger, rules)["all"]["sq"] == pytest.approx(4 / 6)
    assert numbers(TRUE_CELL, larger, rules, "covering")["pc"] == pytest.approx(4 / 6)
    assert numbers(TRUE_CELL, larger, rules, "miou")["miou"] == pytest.approx(4 / 6)
    assert numbers(TRUE_CELL, larger, rules, "miou")["pixel_accuracy"] == pytest.approx((6 + 4) / 12)
    assert counters(TRUE_CELL, segments(row_of(12), {}), rules) == {"c": (0, 0, 1)}


def test_what_the_rules_pass_over_is_counted():
    found = numbers(TRUE_CELL, TWO_CELLS, OFFICIAL, "ignored")
    assert found == {"void": pytest.approx(8 / 12), "crowds": 0, "segments": 3, "ignored": 2}
    found = numbers(TRUE_CELL, TWO_CELLS, Rules(void_background=True), "ignored")
    assert found == {"void": 0.0, "crowds": 0, "segments": 3, "ignored": 0}
    crowd = segments(row_of(0, 8, 4), {1: (CAR, "crowd"), 2: CAR})
    found = numbers(crowd, TWO_CELLS, Rules(void_background=True), "ignored")
    assert found == {"void": 0.0, "crowds": 1, "segments": 3, "ignored": 2}


def test_an_ignored_category_is_void_and_not_predicted():
    truth = segments(row_of(0, 4, 4, 4), {1: CAR, 2: DOG, 3: GRASS})
    prediction = segments(row_of(0, 4, 4, 4), {1: DOG, 2: CAR, 3: GRASS})
    assert counters(truth, prediction, OFFICIAL) == {"c": (0, 1, 1), "d": (0, 1, 1), "g": (1, 0, 0)}
    # The dog that is called a car lies in void: no error. The car is missed, its dog is not there.
    for name in ("d", "2"):
        assert counters(truth, prediction, Rules(ignored=(name,))) == {"c": (0, 0, 1), "g": (1, 0, 0)}
    assert numbers(truth, prediction, Rules(ignored=("d",)), "miou")["n"] == 2


def test_ignored_pixels_stay_void_where_void_is_background():
    truth = segments(row_of(4, 4, 4), {1: CAR, 2: DOG})
    prediction = segments(row_of(0, 4, 4, 4), {1: CAR, 2: CAR, 3: CAR})
    assert counters(truth, prediction, Rules(void_background=True, ignored=("d",))) == {"c": (1, 1, 0)}


def test_segments_below_the_least_area_are_left_out_on_both_sides():
    truth = segments(row_of(0, 1, 5, 6), {1: CAR, 2: CAR, 3: GRASS})
    prediction = segments(row_of(0, 1, 5, 1, 5), {1: DOG, 2: CAR, 3: DOG, 4: GRASS})
    assert counters(truth, prediction, OFFICIAL) == {"c": (1, 0, 1), "d": (0, 2, 0), "g": (1, 0, 0)}
    assert counters(truth, prediction, Rules(least_area=5)) == {"c": (1, 0, 0), "g": (1, 0, 0)}
    assert counters(truth, prediction, Rules(least_area=4)) == counters(truth, prediction, OFFICIAL)


def test_class_agnostic_matches_whatever_the_categories():
    truth = segments(row_of(0, 4, 4, 4), {1: CAR, 2: DOG, 3: GRASS})
    prediction = segments(row_of(0, 4, 4, 4), {1: DOG, 2: GRASS, 3: CAR})
    assert counters(truth, prediction, Rules(class_agnostic=True)) == {"segment": (3, 0, 0)}
    assert numbers(truth, prediction, Rules(class_agnostic=True))["all"]["pq"] == 1


def test_class_agnostic_crowds_are_one():
    """A prediction across a crowd of cars and one of dogs lies in crowds."""
    truth = segments(row_of(0, 4, 4, 4), {1: (CAR, "crowd"), 2: (DOG, "crowd"), 3: CAR})
    prediction = segments(row_of(0, 8, 4), {1: CAR, 2: DOG})
    assert counters(truth, prediction, Rules(class_agnostic=True)) == {"segment": (1, 0, 0)}


def test_pixel_areas_take_the_place_of_those_of_the_annotation():
    truth = segments(row_of(8, 4), {1: CAR}, [10.5])
    assert numbers(truth, TRUE_CELL, Rules(pixel_areas=True))["all"]["sq"] == 1
    assert count_maps("a", truth, TRUE_CELL, TABLE, FAST, {}, Rules(pixel_areas=True)).wrong_areas == 0
    assert count_maps("a", truth, TRUE_CELL, TABLE, FAST, {}).wrong_areas == 1


def test_rules_hide_no_contradiction_of_files():
    unlisted = segments(row_of(4, 4, 4), {1: CAR})
    without_pixel = segments(row_of(8, 4), {1: CAR, 7: CAR})
    everything = Rules(True, True, ("s",), 3, True)
    for side, words in ((unlisted, "pixels of segment 2, which its table"), (without_pixel, "lists segment 7, which")):
        for pair in ((side, TRUE_CELL), (TRUE_CELL, side)):
            with pytest.raises(InputError, match=words):
                count_maps("a", *pair, TABLE, FAST, {}, everything)


def test_categories_to_ignore_are_checked():
    with pytest.raises(InputError, match="category 'x' to ignore: expected one of c, d, g, s"):
        Rules(ignored=("x",)).table(TABLE)
    with pytest.raises(InputError, match="every category is ignored"):
        Rules(ignored=("c", "2", "g", "s")).table(TABLE)


@pytest.mark.parametrize("ignored", [("1", "g"), ("g", "c"), ("c", "c", "1", "g"), ("g", "1")])
def test_the_same_rules_are_told_alike_however_they_are_given(ignored):
    assert Rules(ignored=ignored).lines(TABLE) == Rules(ignored=("c", "g")).lines(TABLE)
    assert "prediction: c, g" in Rules(ignored=ignored).lines(TABLE)[0]
    assert Rules(ignored=("c", "d")).lines(TABLE) != Rules(ignored=("c", "g")).lines(TABLE)
    assert Rules(least_area=1).lines(TABLE) == OFFICIAL.lines(TABLE) == ()  # a segment has a pixel


def test_the_state_knows_the_rules(files, tmp_path):
    pairs, rules = read_coco_files(*files.paths()), Rules(void_background=True, least_area=9)
    whole = evaluate_files(pairs, FAST, rules=rules)
    assert summarize(whole)["rules"] == list(rules.lines(pairs.categories)) and len(whole.rules) == 2
    parts = []
    for number in (0, 1):
        state, part = tmp_path / f"{number}.jsonl", replace(pairs, pairs=pairs.pairs[number::2])
        parts.append((str(state), evaluate_files(part, FAST, state=state, rules=rules)))
        again = evaluate_files(part, FAST, state=state, rules=rules)
        assert summarize(again)["pq"] == summarize(parts[-1][1])["pq"]
    assert summarize(merge(parts)) == summarize(whole)
    official = evaluate_files(pairs, FAST)
    assert summarize(official)["rules"] == [] and summarize(official)["pq"] != summarize(whole)["pq"]
    with pytest.raises(InputError, match="evaluation of other rules .void counts as background"):
        evaluate_files(pairs, FAST, state=tmp_path / "0.jsonl")
    with pytest.raises(InputError, match="its rules are not those of"):
        merge([("a", official), parts[0]])
    with pytest.raises(InputError, match=r"counted by other rules, A: the official rules, B: void counts as"):
        compare(official, whole)
