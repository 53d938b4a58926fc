import json

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, DOG, GRASS, TABLE, clean, paired, random_pair, segments, variants
from tfpanoptic.evaluation.measures import panoptic_quality
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts
from tfpanoptic.evaluation.measures.size_quality import COLUMNS, count_rows, summarize_rows
from tfpanoptic.segment_map import SegmentMap

SMALL, MEDIUM, LARGE = 0, 1, 2


def measured(*pairs):
    return summarize_rows(np.concatenate([count_rows(paired(*pair), TABLE) for pair in pairs]), TABLE)


def enlarged(segment_map, factor):
    """The scene with every pixel as a square of pixels; areas grow with it."""
    rows = segment_map.segments.copy()
    rows["area"] *= factor**2
    return SegmentMap(segment_map.ids.repeat(factor, 0).repeat(factor, 1), rows)


def random_large_pair(seed):
    """Segments of 64 pixels and more, times 9 or 64: all three sizes occur."""
    return tuple(enlarged(side, 3 if seed % 2 else 8) for side in random_pair(seed))


def size_of(area):
    return SMALL if area < 1024 else MEDIUM if area < 9216 else LARGE


@pytest.mark.parametrize("seed", range(20))
def test_every_segment_counts_at_its_size(seed):
    pairs = paired(*random_large_pair(seed))
    true, predicted, matches = pairs.truth.segments, pairs.prediction.segments, pairs.matches
    expected = {}

    def add(category, area, column, value=1):
        expected.setdefault((int(category), size_of(area)), [0, 0, 0, 0])[column] += value

    for row, iou in zip(matches.true_row, matches.iou):
        add(true["category"][row], true["area"][row], 0, iou)
        add(true["category"][row], true["area"][row], 1)
    for row in np.flatnonzero(matches.wrong):
        add(predicted["category"][row], np.sum(pairs.prediction.ids == predicted["id"][row]), 2)
    for row in np.flatnonzero(matches.missed):
        add(true["category"][row], true["area"][row], 3)
    found = {(int(row[0]), int(row[1])): row[2:].tolist() for row in count_rows(pairs, TABLE)}
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values), key


def test_random_scenes_hold_segments_of_all_sizes():
    sizes = np.concatenate([count_rows(paired(*random_large_pair(seed)), TABLE)[:, 1] for seed in range(20)])
    assert np.bincount(sizes.astype(int)).min() >= 10


@pytest.mark.parametrize(
    ("area", "size"), [(1, SMALL), (1023, SMALL), (1024, MEDIUM), (9215, MEDIUM), (9216, LARGE), (10**6, LARGE)]
)
def test_the_size_of_a_missed_segment_is_its_area_in_the_table(area, size):
    truth = segments([[1, 1]], {1: CAR}, areas=[area])
    assert count_rows(paired(truth, segments([[0, 0]], {})), TABLE).tolist() == [[CAR, size, 0, 0, 0, 1]]


@pytest.mark.parametrize(("side", "size"), [(31, SMALL), (32, MEDIUM), (95, MEDIUM), (96, LARGE)])
def test_the_size_of_a_wrong_segment_is_its_own_pixels(side, size):
    ids = np.ones((side, side))
    truth, prediction = segments(ids, {1: GRASS}, areas=[5]), segments(ids, {1: DOG}, areas=[5])
    assert count_rows(paired(truth, prediction), TABLE).tolist() == [
        [DOG, size, 0, 0, 1, 0],
        [GRASS, SMALL, 0, 0, 0, 1],
    ]


def test_a_match_counts_at_the_size_of_the_truth():
    # 1,600 true pixels of 1,000 predicted ones: the prediction alone would be small.
    truth, prediction = np.ones((40, 40)), np.zeros((40, 40))
    prediction[:, :25] = 1
    pairs = paired(segments(truth, {1: CAR}), segments(prediction, {1: CAR}))
    assert count_rows(pairs, TABLE).tolist() == [[CAR, MEDIUM, 0.625, 1, 0, 0]]


def test_the_summary_of_a_hand_computed_scene():
    truth = segments([[1, 1, 1, 2, 2, 2, 2, 3]], {1: CAR, 2: CAR, 3: GRASS}, areas=[3, 9216, 1024])
    prediction = segments([[5, 5, 0, 0, 0, 0, 0, 6]], {5: CAR, 6: DOG})
    summary = measured((truth, prediction))
    # Small: the car of 3 matches with 2/3, and a dog of one pixel is wrong. Medium: grass missed. Large: a car missed.
    assert [summary[name]["limits"] for name in ("small", "medium", "large")] == [[0, 1024], [1024, 9216], [9216, None]]
    assert summary["small"]["all"] == pytest.approx({"pq": 1 / 3, "sq": 1 / 3, "rq": 0.5, "n": 2})
    assert summary["small"]["per_category"]["c"]["tp"] == 1 and summary["small"]["per_category"]["d"]["fp"] == 1
    assert summary["medium"]["stuff"] == {"pq": 0, "sq": 0, "rq": 0, "n": 1}
    assert summary["medium"]["things"] == {"pq": None, "sq": None, "rq": None, "n": 0}
    assert summary["large"]["per_category"]["c"]["fn"] == 1


@pytest.mark.parametrize("seed", range(10))
def test_the_sizes_together_are_panoptic_quality(seed):
    pairs = paired(*random_large_pair(seed))
    together = PanopticCounts.from_rows(np.delete(count_rows(pairs, TABLE), 1, axis=1), len(TABLE))
    expected = panoptic_quality.count_matches(pairs, pairs.matches, len(TABLE))
    np.testing.assert_allclose(together.iou, expected.iou, rtol=1e-12)
    for counter in ("tp", "fp", "fn"):
        np.testing.assert_array_equal(getattr(together, counter), getattr(expected, counter))


@pytest.mark.parametrize("seed", range(10))
def test_numbers_of_segments_and_mirrors_do_not_matter(seed):
    truth, prediction = random_large_pair(seed)
    expected = measured((truth, prediction))
    for pair in variants(truth, prediction, seed):
        summary = measured(pair)
        for size in ("small", "medium", "large"):
            assert summary[size]["all"] == pytest.approx(expected[size]["all"])


@pytest.mark.parametrize("seed", range(10))
def test_a_truth_against_itself_is_1_at_every_size_that_occurs(seed):
    truth = clean(random_large_pair(seed)[0])
    found = {summary["all"]["pq"] for summary in measured((truth, truth)).values()}
    assert found - {None} == {1.0}


def test_rows_of_two_images_add_up_and_survive_json():
    rows = [count_rows(paired(*random_large_pair(seed)), TABLE) for seed in (1, 2)]
    json.dumps(summarize_rows(rows[0], TABLE), allow_nan=False)
    np.testing.assert_array_equal(json.loads(json.dumps(rows[0].tolist())), rows[0])
    total, apart = (measured(*(random_large_pair(seed) for seed in seeds)) for seeds in ((1, 2), (1,)))
    for size in ("small", "medium", "large"):
        alone = measured(random_large_pair(2))[size]["per_category"]
        for name, entry in total[size]["per_category"].items():
            for counter in ("tp", "fp", "fn"):
                assert entry[counter] == alone[name][counter] + apart[size]["per_category"][name][counter]


@pytest.mark.parametrize("shape", [(0, 0), (3, 4)])
def test_nothing_but_void_has_no_rows(shape):
    empty = segments(np.zeros(shape), {})
    prediction = segments(np.full(shape, 5), {5: CAR} if shape[0] else {})
    rows = count_rows(paired(empty, prediction), TABLE)
    assert rows.shape == (0, len(COLUMNS)) and rows.dtype == np.float64
    summary = summarize_rows(rows, TABLE)
    assert all(summary[size]["all"] == {"pq": None, "sq": None, "rq": None, "n": 0} for size in summary)
