from pathlib import Path

import numpy as np
import pytest

from tfpanoptic.data.cityscapes_ids import cityscapes_categories
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.cityscapes_ap import COLUMNS, count_instance_rows, count_rows, summarize_rows
from tfpanoptic.evaluation.measures.matching import pair_segments
from tfpanoptic.segment_map import SegmentMap, segment_rows

FIXTURE = Path(__file__).parents[2] / "fixtures" / "evaluation" / "cityscapes_ap.npz"
TABLE = cityscapes_categories()
OURS = {category.source_id: category.id for category in TABLE}
THINGS = {category.name: category.source_id for category in TABLE if category.isthing}
CAR, PERSON, ROAD = OURS[26], OURS[24], OURS[7]
CARAVAN = 29
SIZE = (20, 40)


@pytest.fixture(scope="module")
def official():
    with np.load(FIXTURE) as stored:
        return dict(stored)


def truth_of(instance_ids, caravans_are_void=True):
    """The segment map of a `gtFine_instanceIds` image; single caravans are void, or ids without a row."""
    ids = instance_ids.astype(np.int32)
    if caravans_are_void:
        ids[ids // 1000 == CARAVAN] = 0
    ids[(ids < 1000) & ~np.isin(ids, list(OURS))] = 0
    found = [i for i in np.unique(ids).tolist() if (i // 1000 if i >= 1000 else i) in OURS]
    categories = [OURS[i // 1000 if i >= 1000 else i] for i in found]
    crowds = [i < 1000 and i in THINGS.values() for i in found]
    return SegmentMap(ids, segment_rows(found, categories, crowds))


def separate_predictions(official):
    """(category, score, mask) of each image of the fixture, without the labels that have no AP."""
    masks = np.unpackbits(official["masks"], axis=-1).astype(bool)
    images = [[] for _ in official["truth"]]
    for (image, label, score), mask in zip(official["masks_table"].tolist(), masks, strict=True):
        if label in THINGS.values():
            images[int(image)].append((OURS[label], score, mask))
    return images


def assert_official(summary, ap, means):
    np.testing.assert_allclose([summary["ap"], summary["ap50"]], means, rtol=0, atol=1e-12)
    for values, name in zip(ap, THINGS, strict=True):
        expected = {"ap": None, "ap50": None}
        if not np.isnan(values).any():
            expected = {"ap": pytest.approx(values.mean(), abs=1e-12), "ap50": pytest.approx(values[0], abs=1e-12)}
        assert summary["per_category"][name] == expected, name


def test_masks_that_overlap_get_the_ap_of_the_official_tool(official):
    assert official["classes"].tolist() == list(THINGS)
    rows = [
        count_instance_rows(truth_of(truth, caravans_are_void=False), predictions, TABLE)
        for truth, predictions in zip(official["truth"], separate_predictions(official), strict=True)
    ]
    assert_official(summarize_rows(np.concatenate(rows), TABLE), official["separate_ap"], official["separate_means"])


def test_segment_maps_get_the_ap_of_the_official_tool(official):
    rows = []
    for number, (truth, ids) in enumerate(zip(official["truth"], official["panoptic"], strict=True)):
        table = official["panoptic_table"][official["panoptic_table"][:, 0] == number]
        segments = segment_rows(range(1, len(table) + 1), [OURS[x] for x in table[:, 1].tolist()], scores=table[:, 2])
        kept = np.isin(segments["id"], ids)  # a later segment may cover an earlier one
        prediction = SegmentMap(ids.astype(np.int32), segments[kept])
        rows.append(count_rows(pair_segments(truth_of(truth), prediction, len(TABLE)), TABLE))
    assert_official(summarize_rows(np.concatenate(rows), TABLE), official["panoptic_ap"], official["panoptic_means"])


def test_a_segment_map_counts_as_its_masks_do(official):
    truth, ids = truth_of(official["truth"][0]), official["panoptic"][0].astype(np.int32)
    found = np.unique(ids[ids > 0])
    scores = np.linspace(0.25, 0.75, len(found)).astype(np.float32)
    prediction = SegmentMap(ids, segment_rows(found, [(CAR, PERSON)[i % 2] for i in found], scores=scores))
    separate = [(int(row["category"]), float(row["score"]), ids == row["id"]) for row in prediction.segments]
    np.testing.assert_array_equal(
        count_rows(pair_segments(truth, prediction, len(TABLE)), TABLE), count_instance_rows(truth, separate, TABLE)
    )


def box(left, right, top=0, bottom=20):
    """Mask of the columns left..right and the rows top..bottom, the last ones excluded."""
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def scene(*instances):
    """Truth from (mask, category) or (mask, category, "crowd"); the rest is void."""
    ids = np.zeros(SIZE, np.int32)
    for number, (mask, *_) in enumerate(instances, start=1):
        ids[mask] = number
    return SegmentMap(
        ids,
        segment_rows(
            range(1, len(instances) + 1), [entry[1] for entry in instances], [len(entry) > 2 for entry in instances]
        ),
    )


def measured(truth, *predictions):
    """(AP, AP50) of the cars of one image."""
    rows = count_instance_rows(truth, predictions, TABLE)
    assert rows.shape[1] == len(COLUMNS)
    return tuple(summarize_rows(rows, TABLE)["per_category"]["car"].values())


def test_a_perfect_mask_scores_one():
    assert measured(scene((box(0, 10), CAR)), (CAR, 0.5, box(0, 10))) == (1.0, 1.0)


def test_iou_must_be_above_the_threshold():
    truth = scene((box(0, 10), CAR))
    # IoU 5/10 is not above 0.5: wrong, for none of it lies on void.
    assert measured(truth, (CAR, 0.5, box(0, 5))) == (0.0, 0.0)
    # IoU 11/20 is above 0.5 and not above 0.55.
    assert measured(scene((box(0, 20), CAR)), (CAR, 0.5, box(0, 11))) == (pytest.approx(0.1), 1.0)
    # IoU 8/10 passes 0.5 .. 0.75 and the 0.8 of numpy.arange, which is 0.8 and a hair: 6 of 10 thresholds.
    assert measured(truth, (CAR, 0.5, box(0, 8))) == (pytest.approx(0.6), 1.0)


def test_of_two_predictions_of_one_truth_the_better_score_is_right():
    truth = scene((box(0, 10), CAR))
    # IoU 1 with score 0.4, IoU 0.75 with score 0.9: up to 0.7 the worse mask is right and the perfect one wrong.
    # There the curve has (precision, recall) (1/2, 1), (1, 1) and the end (1, 0): the half differences of the
    # neighbouring recalls are (1-1)/2, (1-0)/2, (1-0)/2, so AP 1/2 + 1/2 = 1.
    # From 0.75 on the perfect one is right and the other wrong: (1/2, 1), (0, 0), (1, 0): AP 1/2 * 1/2 = 1/4.
    # 0.5, 0.55, 0.6, 0.65 and 0.7 are below 0.75; IoU 0.75 is not above the sixth.
    ap, ap50 = measured(truth, (CAR, 0.4, box(0, 10)), (CAR, 0.9, box(0, 10, 0, 15)))
    assert (ap, ap50) == (pytest.approx((5 * 1 + 5 * 0.25) / 10), 1.0)


def test_a_wrong_prediction_is_excused_by_more_than_the_thresholds_share_of_void():
    truth = scene((box(0, 10), CAR), (box(10, 40), PERSON))
    truth.ids[:, 34:] = 0
    perfect, ten_columns = (CAR, 0.5, box(0, 10)), box(28, 38)  # four columns of ten on void: never excused
    # With a higher score the wrong one halves precision at recall 1: (1/2, 1), (0, 0), (1, 0), AP 1/4.
    assert measured(truth, perfect, (CAR, 0.9, ten_columns)) == (0.25, 0.25)
    # Six columns of ten: 0.6 is above 0.5 and 0.55 but not above the third, 0.6 and a hair.
    assert measured(truth, perfect, (CAR, 0.9, box(30, 40))) == (pytest.approx((2 + 8 * 0.25) / 10), 1.0)


def test_groups_and_small_truths_of_the_class_excuse_and_a_small_group_does_so_twice():
    person = (box(20, 40), PERSON)
    # Nine columns of eleven pixels are 99, one short of a truth that counts.
    small, wrong = box(10, 19, 0, 11), (CAR, 0.9, box(10, 28, 0, 11))  # half on it, eight columns on the person
    truth = [(box(0, 10), CAR), person]
    perfect = (CAR, 0.5, box(0, 10))
    # 99 of 198 pixels and one column of void, 11: 110/198 = 0.5556 excuses at 0.5 and 0.55.
    expected = (pytest.approx((2 + 8 * 0.25) / 10), 1.0)
    assert measured(scene(*truth, (small, CAR)), perfect, wrong) == expected
    # A small group counts twice: (2 * 99 + 11) / 198 is above 1.
    assert measured(scene(*truth, (small, CAR, "crowd")), perfect, wrong) == (1.0, 1.0)
    # One of another class does not count; only the void does.
    assert measured(scene(*truth, (small, PERSON)), perfect, wrong) == (0.25, 0.25)


def test_a_prediction_that_matches_a_group_is_neither_right_nor_wrong():
    truth = scene((box(0, 10), CAR), (box(10, 40), CAR, "crowd"))
    assert measured(truth, (CAR, 0.5, box(0, 10)), (CAR, 0.9, box(10, 40))) == (1.0, 1.0)


def test_a_class_without_predictions_has_zero_and_one_without_truth_none():
    truth = scene((box(0, 10), CAR), (box(10, 20, 0, 5), PERSON))  # 50 pixels: too small
    summary = summarize_rows(count_instance_rows(truth, [(PERSON, 0.5, box(30, 40))], TABLE), TABLE)
    assert summary["per_category"]["car"] == {"ap": 0.0, "ap50": 0.0}
    assert summary["per_category"]["person"] == {"ap": None, "ap50": None}
    assert (summary["ap"], summary["ap50"]) == (0.0, 0.0)
    assert summarize_rows(np.zeros((0, len(COLUMNS))), TABLE)["ap"] is None


@pytest.mark.parametrize(("columns", "expected"), [(20, 0.0), (19, None)])
def test_a_truth_counts_from_100_pixels_on(columns, expected):
    assert measured(scene((box(0, columns, 0, 5), CAR))) == (expected, expected)


def test_a_class_whose_predictions_are_all_excused_has_zero():
    assert measured(scene((box(0, 10), CAR)), (CAR, 0.5, box(20, 40))) == (0.0, 0.0)


def test_the_order_of_the_rows_does_not_matter(official):
    rows = np.concatenate(
        [
            count_instance_rows(truth_of(truth), predictions, TABLE)
            for truth, predictions in zip(official["truth"][:4], separate_predictions(official), strict=False)
        ]
    )
    assert summarize_rows(np.random.default_rng(0).permutation(rows), TABLE) == summarize_rows(rows, TABLE)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        ((ROAD, 0.5, box(0, 10)), "category 1, expected a thing"),
        ((CAR, 0.5, np.ones((3, 4), bool)), r"mask is \(3, 4\) pixels \(height, width\), truth is \(20, 40\)"),
    ],
)
def test_a_prediction_that_fits_no_truth_is_refused(prediction, message):
    with pytest.raises(InputError, match=message):
        count_instance_rows(scene((box(0, 10), CAR)), [prediction], TABLE)
