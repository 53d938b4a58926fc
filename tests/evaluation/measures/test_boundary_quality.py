import json

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, TABLE, clean, paired, random_pair, segments, variants
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures import panoptic_quality
from tfpanoptic.evaluation.measures.boundary_quality import (
    COLUMNS,
    boundary_iou,
    boundary_width,
    count_rows,
    inside,
    summarize_rows,
)
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts


def eroded(mask, times):
    """The mask in an image with one more pixel of 0 on every side, eroded with a square of 3 x 3."""
    height, width = mask.shape
    mask = np.pad(mask, 1)
    for _ in range(times):
        around = np.pad(mask, 1, constant_values=True)
        mask = np.all([around[y : y + height + 2, x : x + width + 2] for y in range(3) for x in range(3)], axis=0)
    return mask[1:-1, 1:-1]


def redrawn(segment_map, width):
    """The map with the inside of every segment under an id of its own, and the pixels of each boundary."""
    ids, areas = segment_map.ids.astype(np.int64), {}
    for number, i in enumerate(segment_map.segments["id"].tolist()):
        mask = segment_map.ids == i
        within = eroded(mask, width)
        ids[within] = 10**6 + number
        areas[i] = np.sum(mask & ~within)
    return ids, areas


def by_the_rules(truth, prediction, ratio):
    """Boundary PQ counters, one pair of segments at a time with masks."""
    width = max(1, round(ratio * float(np.sqrt(truth.ids.shape[0] ** 2 + truth.ids.shape[1] ** 2))))
    true_ids, true_areas = redrawn(truth, width)
    predicted_ids, predicted_areas = redrawn(prediction, width)
    iou, tp, fp, fn = (np.zeros(len(TABLE) + 1) for _ in range(4))
    void, matched, smaller = truth.ids == 0, set(), 0
    crowds = {int(row["category"]): truth.ids == row["id"] for row in truth.segments if row["iscrowd"]}
    for true in truth.segments:
        found = False
        for predicted in prediction.segments:
            if true["iscrowd"] or true["category"] != predicted["category"]:
                continue
            mask = prediction.ids == predicted["id"]
            both = np.sum(mask & (truth.ids == true["id"]))
            mask_iou = both / (np.sum(mask & ~void) + true["area"] - both)
            edge = predicted_ids == predicted["id"]
            both = np.sum(edge & (true_ids == true["id"]))
            union = predicted_areas[int(predicted["id"])] + true_areas[int(true["id"])] - both - np.sum(edge & void)
            if min(mask_iou, both / union) > 0.5:
                found = True
                matched.add(int(predicted["id"]))
                iou[true["category"]] += min(mask_iou, both / union)
                tp[true["category"]] += 1
            smaller += mask_iou > 0.5 and both / union < mask_iou
        fn[true["category"]] += not found and not true["iscrowd"]
    for predicted in prediction.segments:
        mask = prediction.ids == predicted["id"]
        ignored = mask & (void | crowds.get(int(predicted["category"]), np.zeros_like(void)))
        if int(predicted["id"]) not in matched and ignored.sum() / mask.sum() <= 0.5:
            fp[predicted["category"]] += 1
    return (iou, tp, fp, fn), smaller


# The diagonal of these scenes is 46.6 pixels: boundaries of 1, 2 and 3 pixels.
@pytest.mark.parametrize("ratio", [0.02, 0.05, 0.07])
def test_random_scenes_count_as_the_rules_say(ratio):
    smaller = 0
    for seed in range(40):
        truth, prediction = random_pair(seed)
        counts = PanopticCounts.from_rows(count_rows(paired(truth, prediction), TABLE, ratio), len(TABLE))
        expected, decided = by_the_rules(truth, prediction, ratio)
        smaller += decided
        for ours, theirs in zip((counts.iou, counts.tp, counts.fp, counts.fn), expected):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, err_msg=f"seed {seed}")
    assert smaller > 20  # pairs whose boundary decides


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_inside_is_what_erosions_of_every_segment_leave(width):
    random = np.random.default_rng(width)
    for _ in range(20):
        ids = random.integers(0, 3, (4, 5)).repeat(random.integers(4, 9), 0).repeat(random.integers(4, 9), 1)
        ids[random.integers(0, ids.shape[0]), random.integers(0, ids.shape[1])] = 7
        left = np.any([eroded(ids == i, width) for i in np.unique(ids)], axis=0)
        np.testing.assert_array_equal(inside(ids, width), left)


def test_inside_keeps_out_of_corners_borders_and_neighbours():
    ids = [[1, 1, 1, 1, 2], [1, 1, 1, 1, 2], [1, 1, 1, 1, 2], [2, 1, 1, 1, 2]]
    # (2, 1) meets the 2 in the corner of its square; (1, 3) and (2, 3) meet the column of 2.
    expected = np.zeros((4, 5), bool)
    expected[1, 1] = expected[1, 2] = expected[2, 2] = True
    np.testing.assert_array_equal(inside(np.array(ids), 1), expected)


@pytest.mark.parametrize("shape", [(0, 0), (1, 9), (4, 9), (9, 4)])
def test_an_image_without_room_for_the_square_has_no_inside(shape):
    assert inside(np.ones(shape, np.int32), 2).shape == shape and not inside(np.ones(shape, np.int32), 2).any()
    assert inside(np.ones((5, 5), np.int32), 2).sum() == 1


def test_the_boundary_is_a_fiftieth_of_the_diagonal_and_at_least_a_pixel():
    assert boundary_width(480, 640) == 16  # diagonal 800
    assert boundary_width(1024, 2048) == 46  # 2289.7 / 50 = 45.8
    assert boundary_width(4, 4) == boundary_width(0, 0) == 1
    assert boundary_width(30, 40, 0.1) == 5


@pytest.mark.parametrize("ratio", [0.0, -0.1, float("nan"), float("inf")])
def test_a_ratio_that_is_no_fraction_is_refused(ratio):
    with pytest.raises(InputError, match=r"fraction above 0 of the diagonal, found"):
        boundary_width(4, 4, ratio)


def test_a_width_of_no_pixel_and_an_id_beyond_30_bits_are_refused():
    with pytest.raises(InputError, match="at least 1 pixel, found 0"):
        inside(np.ones((4, 4), np.int32), 0)
    huge = segments(np.full((4, 4), 1 << 30), {1 << 30: CAR})
    with pytest.raises(InputError, match="ids up to 1073741823, found 1073741824"):
        count_rows(paired(huge, huge), TABLE)


def test_a_hand_computed_boundary():
    # A square of 6 x 6 in an image of 8 x 8, and the same less its last column: 30 of 36 pixels. Boundaries of
    # one pixel: 20 and 18 pixels. They share the rows at top and bottom (5 each) and the first column between
    # (4): 14, of 20 + 18 - 14.
    truth, prediction = np.full((8, 8), 2), np.full((8, 8), 2)
    truth[1:7, 1:7] = 1
    prediction[1:7, 1:6] = 1
    pairs = paired(segments(truth, {1: CAR, 2: GRASS}), segments(prediction, {1: CAR, 2: GRASS}))
    row = {int(row[0]): row[1:].tolist() for row in count_rows(pairs, TABLE)}
    assert pairs.matches.iou[0] == pytest.approx(30 / 36)
    assert row[CAR] == [pytest.approx(14 / 24), 1, 0, 0]


def test_areas_of_boundaries_are_pixels_though_the_table_says_otherwise():
    ids = np.full((8, 8), 1)
    pairs = paired(segments(ids, {1: CAR}, areas=[80]), segments(ids, {1: CAR}))
    assert boundary_iou(pairs, 1).tolist() == [1.0]
    # The mask's IoU, 64 / (64 + 80 - 64), is the smaller one.
    assert count_rows(pairs, TABLE).tolist() == [[CAR, 0.8, 1, 0, 0]]


def test_void_leaves_the_union_of_boundaries():
    # 16 pixels, all boundary; the prediction adds 8 that are void in the truth.
    truth, prediction = np.zeros((4, 8)), np.zeros((4, 8))
    truth[:, :4], prediction[:, :6] = 1, 5
    pairs = paired(segments(truth, {1: CAR}), segments(prediction, {5: CAR}))
    # Width 2: nothing of the truth is inside; inside of the prediction neither.
    assert boundary_iou(pairs, 2).tolist() == [1.0]


def test_a_pair_whose_boundaries_do_not_meet_has_0():
    # A square of 3 x 3 in the middle of one of 9 x 9, which is boundary in its outer ring alone.
    truth = np.full((9, 9), 2)
    truth[3:6, 3:6] = 1
    pairs = paired(segments(truth, {1: CAR, 2: CAR}), segments(np.full((9, 9), 5), {5: CAR}))
    assert pairs.true_row[pairs.both].tolist() == [0, 1]
    assert boundary_iou(pairs, 1)[0] == 0


@pytest.mark.parametrize("seed", range(10))
def test_numbers_of_segments_and_mirrors_do_not_matter(seed):
    truth, prediction = random_pair(seed)
    expected = summarize_rows(count_rows(paired(truth, prediction), TABLE), TABLE)
    for pair in variants(truth, prediction, seed):
        assert summarize_rows(count_rows(paired(*pair), TABLE), TABLE)["all"] == pytest.approx(expected["all"])


@pytest.mark.parametrize("seed", range(10))
def test_it_is_never_above_panoptic_quality(seed):
    pairs = paired(*random_pair(seed))
    boundary = summarize_rows(count_rows(pairs, TABLE), TABLE)["all"]["pq"]
    assert boundary <= panoptic_quality.summarize_rows(panoptic_quality.count_rows(pairs, TABLE), TABLE)["all"]["pq"]


@pytest.mark.parametrize("seed", range(10))
def test_a_truth_against_itself_is_1(seed):
    truth = clean(random_pair(seed)[0])
    assert summarize_rows(count_rows(paired(truth, truth), TABLE), TABLE)["all"]["pq"] == 1


def test_rows_of_two_images_add_up_and_survive_json():
    rows = [count_rows(paired(*random_pair(seed)), TABLE) for seed in (1, 2)]
    total = PanopticCounts.from_rows(np.concatenate(rows), len(TABLE))
    apart = [PanopticCounts.from_rows(part, len(TABLE)) for part in rows]
    np.testing.assert_allclose(total.iou, apart[0].iou + apart[1].iou)
    np.testing.assert_array_equal(total.fn, apart[0].fn + apart[1].fn)
    np.testing.assert_array_equal(json.loads(json.dumps(rows[0].tolist())), rows[0])
    json.dumps(summarize_rows(rows[0], TABLE), allow_nan=False)


@pytest.mark.parametrize("shape", [(0, 0), (5, 6)])
def test_an_image_without_segments_has_no_rows(shape):
    empty = segments(np.zeros(shape), {})
    rows = count_rows(paired(empty, empty), TABLE)
    assert rows.shape == (0, len(COLUMNS)) and rows.dtype == np.float64
    assert summarize_rows(rows, TABLE)["all"] == {"pq": None, "sq": None, "rq": None, "n": 0}


def test_a_prediction_on_nothing_but_void_is_no_error():
    prediction = segments(np.full((5, 6), 3), {3: DOG})
    assert len(count_rows(paired(segments(np.zeros((5, 6)), {}), prediction), TABLE)) == 0
