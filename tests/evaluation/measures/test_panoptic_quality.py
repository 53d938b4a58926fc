from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, TABLE, segments
from tfpanoptic.evaluation.measures.matching import SideError, intersections
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, count, summarize


def counted(truth, prediction):
    """{category: (iou, tp, fp, fn)} of the categories that have any."""
    counts = count(truth, prediction, len(TABLE))
    rows = zip(counts.iou.tolist(), counts.tp.tolist(), counts.fp.tolist(), counts.fn.tolist(), strict=True)
    return {category: row for category, row in enumerate(rows) if any(row)}


def by_the_rules(truth, prediction, num_categories):
    """The official rules, one segment at a time with masks."""
    iou, tp, fp, fn = (np.zeros(num_categories + 1) for _ in range(4))
    void, matched = truth.ids == 0, set()
    crowds = {int(row["category"]): truth.ids == row["id"] for row in truth.segments if row["iscrowd"]}
    for true in truth.segments:
        found = False
        for predicted in prediction.segments:
            if true["iscrowd"] or true["category"] != predicted["category"]:
                continue
            mask = prediction.ids == predicted["id"]
            both = np.sum(mask & (truth.ids == true["id"]))
            union = np.sum(mask & ~void) + true["area"] - both
            if both / union > 0.5:
                found = True
                matched.add(int(predicted["id"]))
                iou[true["category"]] += both / union
                tp[true["category"]] += 1
        fn[true["category"]] += not found and not true["iscrowd"]
    for predicted in prediction.segments:
        mask = prediction.ids == predicted["id"]
        ignored = mask & (void | crowds.get(int(predicted["category"]), np.zeros_like(void)))
        if int(predicted["id"]) not in matched and ignored.sum() / mask.sum() <= 0.5:
            fp[predicted["category"]] += 1
    return iou, tp, fp, fn


def random_segments(seed, truth, like=None):
    """Random blocks of segments; true ones with crowds, several of a category, also stuff in two segments."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, 10, (4, 5)).repeat(4, 0).repeat(4, 1) * 7
    if like is not None:
        ids = np.where(random.uniform(size=ids.shape) < 0.8, np.roll(like.ids, random.integers(-1, 2), 1), ids)
    rows = {}
    for i in random.permutation(np.unique(ids[ids > 0])).tolist():
        category = i // 7 % 4 + 1
        rows[i] = (category, "crowd") if truth and category in (CAR, DOG) and random.uniform() < 0.4 else category
    return segments(ids, rows)


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_random_scenes_count_as_the_rules_say(first):
    for seed in range(first, first + 50):
        truth = random_segments(seed, truth=True)
        prediction = random_segments(seed + 10_000, truth=False, like=truth)
        counts = count(truth, prediction, len(TABLE))
        for ours, theirs in zip((counts.iou, counts.tp, counts.fp, counts.fn), by_the_rules(truth, prediction, 4)):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, err_msg=f"seed {seed}")


def test_a_match_needs_more_than_half():
    truth = segments([[1, 1, 1, 1]], {1: CAR})
    assert counted(truth, segments([[1, 1, 0, 0]], {1: CAR})) == {CAR: (0, 0, 1, 1)}  # IoU exactly 1/2
    assert counted(truth, segments([[1, 1, 1, 0]], {1: CAR})) == {CAR: (0.75, 1, 0, 0)}


def test_void_pixels_leave_the_union_and_excuse_a_wrong_segment():
    truth = segments([[1] * 100 + [2] * 100 + [0] * 50], {1: CAR, 2: CAR})
    prediction = segments([[3] * 80 + [0] * 100 + [3] * 20 + [4] * 50], {3: CAR, 4: CAR})
    # 3 has 80 of 1 and 20 of 2: 80 / (100 + 100 - 80); 4 lies on void alone and is no error.
    expected = {CAR: (pytest.approx(80 / 120), 1, 0, 1)}
    assert counted(truth, prediction) == expected


def test_half_on_void_is_still_an_error():
    truth = segments([[0, 0, 1, 1]], {1: GRASS})
    assert counted(truth, segments([[0, 5, 5, 0]], {5: CAR}))[CAR] == (0, 0, 1, 0)
    assert CAR not in counted(truth, segments([[5, 5, 5, 0]], {5: CAR}))


def test_a_crowd_is_never_missed_and_never_matched():
    truth = segments([[1, 1, 1, 1]], {1: (CAR, "crowd")})
    assert counted(truth, segments([[0, 0, 0, 0]], {})) == {}
    assert counted(truth, segments([[5, 5, 5, 5]], {5: CAR})) == {}
    assert counted(truth, segments([[5, 5, 5, 5]], {5: DOG})) == {DOG: (0, 0, 1, 0)}


def test_crowd_pixels_stay_in_the_union():
    truth = segments([[1, 1, 1, 2, 2]], {1: CAR, 2: (CAR, "crowd")})
    assert counted(truth, segments([[5] * 5], {5: CAR})) == {CAR: (pytest.approx(3 / 5), 1, 0, 0)}


@pytest.mark.parametrize(("last", "wrong"), [(1, 1), (2, 0)])
def test_of_two_crowds_of_a_category_the_last_in_the_table_counts(last, wrong):
    crowds = dict.fromkeys((3 - last, last), (CAR, "crowd"))
    truth = segments([[1, 2, 2, 2]], crowds)  # 1/4 and 3/4 of the prediction
    assert counted(truth, segments([[5] * 4], {5: CAR})).get(CAR, (0, 0, 0, 0)) == (0, 0, wrong, 0)


def test_a_stuff_category_in_two_segments_can_be_missed_twice():
    truth = segments([[1, 1, 1, 2]], {1: GRASS, 2: GRASS})
    assert counted(truth, segments([[5] * 4], {5: GRASS})) == {GRASS: (0.75, 1, 0, 1)}


def test_the_true_area_is_that_of_the_table():
    truth = segments([[1, 1, 1, 1]], {1: CAR}, areas=[5])
    assert counted(truth, segments([[5] * 4], {5: CAR})) == {CAR: (pytest.approx(4 / 5), 1, 0, 0)}


def test_turning_a_missed_segment_into_void_adds_no_error():
    prediction = segments([[5, 5, 6, 6]], {5: CAR, 6: DOG})
    truth = segments([[1, 1, 2, 2]], {1: CAR, 2: DOG})
    voided = segments([[1, 1, 0, 0]], {1: CAR})
    assert counted(truth, prediction)[CAR] == counted(voided, prediction)[CAR]
    assert DOG not in counted(voided, prediction)


def test_counters_add_up():
    maps = [(random_segments(s, True), random_segments(s + 50, False)) for s in range(3)]
    total = sum((count(*pair, len(TABLE)) for pair in maps), PanopticCounts.zeros(len(TABLE)))
    assert total.tp.dtype == np.int64 and total.iou.dtype == np.float64
    assert total.fn.sum() == sum(count(*pair, len(TABLE)).fn.sum() for pair in maps)


def test_the_summary_averages_the_categories_that_have_segments():
    counts = PanopticCounts(
        iou=np.array([0, 1.5, 0, 0.8, 0]),
        tp=np.array([0, 2, 0, 1, 0]),
        fp=np.array([0, 1, 2, 0, 0]),
        fn=np.array([0, 1, 0, 0, 0]),
    )
    summary = summarize(counts, TABLE)
    # Cars: PQ 1.5/3, SQ 1.5/2, RQ 2/3. Dogs: two wrong ones, all 0. Grass 0.8, 0.8, 1. No sky.
    assert summary["things"] == pytest.approx({"pq": 0.25, "sq": 0.375, "rq": 1 / 3, "n": 2})
    assert summary["stuff"] == pytest.approx({"pq": 0.8, "sq": 0.8, "rq": 1.0, "n": 1})
    assert summary["all"]["pq"] == pytest.approx(1.3 / 3) and summary["all"]["n"] == 3
    assert summary["per_category"]["s"] == {"pq": None, "sq": None, "rq": None, "tp": 0, "fp": 0, "fn": 0}


def test_no_segment_at_all_gives_none():
    summary = summarize(PanopticCounts.zeros(4), TABLE)
    assert summary["all"] == {"pq": None, "sq": None, "rq": None, "n": 0}


def test_intersections_count_every_pixel_once():
    random = np.random.default_rng(0)
    first, second = (random.integers(0, 4, (30, 40)).astype(np.int32) for _ in range(2))
    a, b, area = intersections(first, second)
    assert area.sum() == first.size and len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(a)
    assert area[(a == 2) & (b == 3)] == np.sum((first == 2) & (second == 3))


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (segments([[5, 6]], {5: CAR}), "pixels of segment 6"),
        (segments([[5, 5]], {5: CAR, 6: CAR}), "segment 6, which has no pixel"),
        (segments([[5, 5]], {5: 9}), "category 9, expected 1..4"),
        (segments([[5, 5, 5]], {5: CAR}), "prediction is 1x3 pixels, truth is 1x2"),
    ],
)
def test_a_prediction_that_contradicts_itself_is_refused(prediction, message):
    with pytest.raises(SideError, match=message) as error:
        count(segments([[1, 1]], {1: CAR}), prediction, len(TABLE))
    assert error.value.side == "prediction"


@pytest.mark.parametrize("unlisted", [6, 1 << 24, (1 << 31) - 2])
def test_a_truth_that_contradicts_itself_is_refused(unlisted):
    with pytest.raises(SideError, match=f"truth has pixels of segment {unlisted}") as error:
        count(segments([[5, unlisted]], {5: CAR}), segments([[1, 1]], {1: CAR}), len(TABLE))
    assert error.value.side == "truth"


@pytest.mark.parametrize("side", ["truth", "prediction"])
@pytest.mark.parametrize("strange", [-1, 1 << 31])
def test_ids_that_no_segment_has_are_named_with_their_side(side, strange):
    """Tools write -1 for void; two ids share 64 bits while they are counted."""
    sound = segments([[1, 1, 2, 0]], {1: CAR, 2: GRASS})
    broken = replace(sound, ids=np.array([[1, 1, 2, strange]]))
    maps = (broken, sound) if side == "truth" else (sound, broken)
    with pytest.raises(SideError, match=f"^{side} has pixels of segment {strange}, expected ids 0..2147483647"):
        count(*maps, len(TABLE))
