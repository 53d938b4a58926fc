import json

import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.bootstrap import (
    image_counters,
    images_with_segments,
    intervals,
    lost_by_image,
    pq_intervals,
    quality_by_image,
    resampled_qualities,
)
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.state import Evaluation, ImageCounts

TABLE = CategoryTable(tuple(Category(i, name, i <= 2, (0, 0, i), i) for i, name in enumerate("cdgs", start=1)))
CAR, DOG, GRASS, SKY = 1, 2, 3, 4


def evaluation(images, categories=TABLE):
    """Evaluation of {image: [(category, iou, tp, fp, fn)]}."""
    counts = {n: ImageCounts(n, {"pq": np.array(rows, np.float64).reshape(-1, 5)}) for n, rows in images.items()}
    return Evaluation(categories, ("pq",), images=counts)


def random_images(seed, number=12):
    random = np.random.default_rng(seed)
    images = {}
    for n in range(number):
        seen = np.flatnonzero(random.uniform(size=4) < 0.6) + 1
        images[f"image{n:02d}"] = [(c, random.uniform(0.5, 1), 1, *random.integers(0, 3, 2)) for c in seen]
    return images


def draws(images, resamples=1000, seed=0):
    """PQ, SQ and RQ of all draws, `[R, 3 + C, 3]`."""
    return resampled_qualities([image_counters(evaluation(images))], TABLE, resamples, seed)[0]


# One car found with IoU 0.8; the other missed with a wrong one beside it.
TWO = {"x": [(CAR, 0.8, 1, 0, 0)], "y": [(CAR, 0, 0, 1, 1)]}


def test_two_images_have_three_possible_draws():
    values, times = np.unique(draws(TWO)[:, 0, 0].round(12), return_counts=True)
    # Twice y: 0 / 2. One of each: 0.8 / (1 + 0.5 + 0.5). Twice x: 1.6 / 2. The chances are 1/4, 1/2, 1/4.
    assert values.tolist() == [0, 0.4, 0.8]
    np.testing.assert_allclose(times / 1000, [0.25, 0.5, 0.25], atol=0.05)


def test_the_interval_of_two_images_goes_from_one_to_the_other():
    # Each end has a chance of 1/4, far above 2.5 %. SQ: 0 without a match, else 0.8. RQ: 0, 1 / 2 or 1.
    expected = {"pq": [0, 0.8], "sq": [0, 0.8], "rq": [0, 1], "images": 2}
    found = pq_intervals(evaluation(TWO))
    for entry in (found["all"], found["things"], found["per_category"]["c"]):
        assert {name: pytest.approx(value) for name, value in entry.items()} == expected


def test_a_draw_averages_the_categories_that_it_has():
    images = {"x": [(CAR, 0.8, 1, 0, 0), (GRASS, 0.6, 1, 0, 0)], "y": [(GRASS, 1, 1, 0, 0)]}
    found = np.unique(draws(images)[:, :3, 0].round(12), axis=0)
    # All, things and stuff. x x: car 0.8, grass 0.6. x y: car 0.8, grass 0.8. y y: grass 1 and no thing at all.
    np.testing.assert_array_equal(found[~np.isnan(found[:, 1])], [[0.7, 0.8, 0.6], [0.8, 0.8, 0.8]])
    np.testing.assert_array_equal(np.unique(found[np.isnan(found[:, 1])][:, [0, 2]], axis=0), [[1, 1]])


def test_the_interval_is_the_middle_of_the_draws():
    values = np.arange(1001.0)[:, None, None] * np.ones((1, 1, 3))  # 0..1000: 2.5 % of them lie below 25
    assert intervals(values, np.array([2]))[:, 0, 0].tolist() == pytest.approx([25, 975])


def test_a_category_in_one_image_and_one_image_alone_have_no_interval():
    found = pq_intervals(evaluation({**TWO, "z": [(DOG, 0.9, 1, 0, 0)]}))
    assert found["per_category"]["d"] == {"pq": None, "sq": None, "rq": None, "images": 1}
    assert found["per_category"]["s"]["images"] == 0 and found["stuff"]["pq"] is None
    assert found["all"]["images"] == 3 and found["all"]["pq"] is not None
    for images in ({}, {"x": TWO["x"]}):
        assert pq_intervals(evaluation(images))["all"]["pq"] is None


def test_a_seed_gives_the_same_draws_and_another_one_others():
    images = evaluation(random_images(0))
    assert pq_intervals(images, seed=3) == pq_intervals(images, seed=3)
    assert pq_intervals(images, seed=3)["all"]["pq"] != pq_intervals(images, seed=4)["all"]["pq"]


def test_the_order_in_which_images_came_does_not_matter():
    images = random_images(1)
    backwards = evaluation(dict(reversed(images.items())))
    assert pq_intervals(evaluation(images)) == pq_intervals(backwards)
    assert lost_by_image(evaluation(images)) == lost_by_image(backwards)


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_is_the_evaluation_of_its_images(seed):
    images = random_images(seed, number=3)
    names = sorted(images)
    every = [[a, b, c] for a in names for b in names for c in names]
    summaries = [summarize_rows(np.array([r for n in chosen for r in images[n]]), TABLE) for chosen in every]
    possible = np.unique(np.array([[s["all"][q] for q in ("pq", "sq", "rq")] for s in summaries]).round(9), axis=0)
    found = np.unique(draws(images)[:, 0].round(9), axis=0)
    # 1000 draws of 27 meet all of them; -0.0 and 0.0 are one.
    np.testing.assert_allclose(found, possible, atol=1e-9)


def test_the_interval_holds_the_true_value_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = 0
    for repetition in range(200):
        # Each image misses its one car with a chance of 0.3, else finds it with an IoU of 0.5..1: PQ is 0.7 * 0.75
        # as TP + FN/2 is 0.7 + 0.15: 0.525 / 0.85.
        found = random.uniform(size=60) < 0.7
        iou = random.uniform(0.5, 1, 60) * found
        rows = {f"{n:02d}": [(CAR, iou[n], found[n], 0, 1 - found[n])] for n in range(60)}
        low, high = pq_intervals(evaluation(rows), resamples=200, seed=repetition)["all"]["pq"]
        held += low <= 0.525 / 0.85 <= high
    # 95 % of 200 give or take three standard deviations of 3.1, and the narrowness of few images.
    assert 176 <= held <= 199


def test_the_draws_of_several_tables_are_of_the_same_images():
    table = image_counters(evaluation(random_images(2)))
    first, second = resampled_qualities([table, table], TABLE, 100, 0)
    np.testing.assert_array_equal(first, second)


def test_images_are_counted_by_group():
    images = {"x": [(CAR, 0, 0, 1, 0), (SKY, 0, 0, 0, 1)], "y": [(DOG, 0.7, 1, 0, 0)], "z": []}
    number = images_with_segments(image_counters(evaluation(images)), TABLE)
    assert number.tolist() == [2, 2, 1, 1, 1, 0, 1]  # all, things, stuff, then c d g s


@pytest.mark.parametrize("seed", range(20))
def test_the_images_shares_add_up_to_what_is_lost(seed):
    images = evaluation(random_images(seed))
    shares = lost_by_image(images)
    assert list(shares) == sorted(images.images)
    assert sum(shares.values()) == pytest.approx(1 - summarize_rows(images.rows("pq"), TABLE)["all"]["pq"], abs=1e-12)


def test_an_images_share_is_what_its_segments_cost():
    shares = lost_by_image(evaluation({**TWO, "z": [(GRASS, 0.9, 1, 0, 0)]}))
    # Cars: D = 2, x lacks 0.2, y half for the wrong and half for the missed one. Grass: D = 1. Two categories.
    assert shares == pytest.approx({"x": 0.2 / 2 / 2, "y": 1 / 2 / 2, "z": 0.1 / 1 / 2})


def test_without_segments_nothing_is_lost():
    assert lost_by_image(evaluation({"x": [], "y": []})) == {"x": 0, "y": 0}


def test_the_result_survives_json():
    found = pq_intervals(evaluation({**TWO, "z": [(DOG, 0.9, 1, 0, 0)]}), resamples=100)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resamples": 99}, "resamples: expected 100..10000, found 99"),
        ({"resamples": 10_001}, "resamples: expected 100..10000, found 10001"),
        ({"seed": -1}, "seed: expected 0 or more, found -1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        pq_intervals(evaluation(TWO), **settings)


def test_an_evaluation_without_panoptic_quality_is_refused():
    with pytest.raises(InputError, match="no counters of 'pq', only of miou"):
        pq_intervals(Evaluation(TABLE, ("miou",)))


def test_an_image_has_the_quality_that_it_would_have_alone():
    images = {
        "x": [(CAR, 0.8, 1, 1, 2), (GRASS, 0.6, 1, 0, 0)],
        "empty": [],
        "y": [(DOG, 0, 0, 1, 0)],
    }
    empty, x, y = quality_by_image(evaluation(images))
    # Cars 0.8 / (1 + 1/2 + 2/2) = 0.32, grass 0.6; SQ 0.8 and 0.6; RQ 1 / 2.5 and 1.
    assert x == pytest.approx(
        {"image_id": None, "file_name": "x", "pq": 0.46, "sq": 0.7, "rq": 0.7, "tp": 2, "fp": 1, "fn": 2}
    )
    assert y == {"image_id": None, "file_name": "y", "pq": 0, "sq": 0, "rq": 0, "tp": 0, "fp": 1, "fn": 0}
    assert (empty["pq"], empty["sq"], empty["rq"], empty["tp"]) == (None, None, None, 0)
    for name, entry in (("x", x), ("y", y)):
        alone = evaluation({name: images[name]})
        expected = summarize_rows(alone.rows("pq"), TABLE)["all"]
        assert {key: entry[key] for key in ("pq", "sq", "rq")} == pytest.approx(
            {k: expected[k] for k in expected if k != "n"}
        )
