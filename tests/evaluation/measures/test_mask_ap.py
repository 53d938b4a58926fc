import io
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.mask_ap import (
    COLUMNS,
    count_instance_rows,
    count_rows,
    instances_of_map,
    summarize_rows,
)
from tfpanoptic.evaluation.measures.matching import pair_segments
from tfpanoptic.segment_map import SegmentMap, segment_rows

cocoeval = pytest.importorskip("pycocotools.cocoeval")
coco = pytest.importorskip("pycocotools.coco")

TABLE = CategoryTable(tuple(Category(i, name, i != 2, (0, 0, i), i) for i, name in enumerate("cgdb", start=1)))
CAR, GRASS, DOG, BUS = 1, 2, 3, 4
NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


def by_one_cocoeval(truths, detections, categories):
    """AP of all images by one COCOeval, from instances of each, in the names of `summarize_rows`."""
    masks = {"images": [], "annotations": [], "categories": [{"id": i} for i in categories.thing_ids]}
    results = []
    for number, (true, found) in enumerate(zip(truths, detections, strict=True)):
        for entry in true:
            masks["annotations"].append(
                {
                    "id": len(masks["annotations"]) + 1,
                    "image_id": number,
                    "category_id": entry["category"],
                    **{key: entry[key] for key in ("segmentation", "iscrowd", "area")},
                }
            )
        height, width = (true or found)[0]["segmentation"]["size"]
        masks["images"].append({"id": number, "height": height, "width": width})
        for entry in found:
            result = {key: entry[key] for key in ("segmentation", "score")}
            results.append({"image_id": number, "category_id": entry["category"], **result})
    with redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = masks
        truth.createIndex()
        evaluator = cocoeval.COCOeval(truth, truth.loadRes(results), "segm")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision = evaluator.eval["precision"][:, :, :, 0, 2]
    per_category = [precision[:, :, k][precision[:, :, k] > -1] for k in range(precision.shape[2])]
    return {
        **dict(zip(NAMES, (None if ap == -1 else ap for ap in evaluator.stats), strict=False)),
        "per_category": {
            categories[c].name: values.mean() if values.size else None
            for c, values in zip(categories.thing_ids, per_category, strict=True)
        },
    }


def assert_same(summary, expected):
    assert summary.keys() == expected.keys()
    for name in NAMES:
        assert summary[name] == pytest.approx(expected[name], abs=1e-12), name
    assert summary["per_category"] == pytest.approx(expected["per_category"], abs=1e-12)


def random_scene(seed):
    """(truth, prediction): blocks of segments, small to large, crowds, areas that are not the pixels, equal scores."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, random.integers(2, 14), (4, 5)).repeat(40, 0).repeat(40, 1).astype(np.int32)
    moved = np.roll(ids, random.integers(-4, 5, 2), (0, 1))
    moved[random.uniform(size=ids.shape) < random.choice([0, 0.02, 0.1])] = 0
    block = random.integers(0, 120)
    moved[block : block + 40, block : block + 60] = 20  # covers, cuts and invents
    rows = [np.unique(side[side > 0]) for side in (ids, moved)]
    crowds = (rows[0] % 4 != 1) & (random.uniform(size=len(rows[0])) < 0.2)
    areas = [int((ids == i).sum() * random.choice([0.3, 1, 1])) for i in rows[0]]
    truth = segment_rows(rows[0], rows[0] % 4 + 1, crowds, areas)
    predicted = segment_rows(rows[1], rows[1] % 4 + 1, scores=random.uniform(size=len(rows[1])).round(1))
    return SegmentMap(ids, truth), SegmentMap(moved, predicted)


def rows_of(scenes, categories):
    return np.concatenate([count_rows(pair_segments(*scene, len(categories)), categories) for scene in scenes])


@pytest.mark.parametrize("first", [0, 12, 24])
def test_random_scenes_score_as_one_cocoeval_over_all_images(first):
    scenes = [random_scene(seed) for seed in range(first, first + 12)]
    truths, detections = ([instances_of_map(side, TABLE) for side in sides] for sides in zip(*scenes, strict=True))
    expected = by_one_cocoeval(truths, detections, TABLE)
    assert all(expected[name] is not None for name in NAMES)
    assert_same(summarize_rows(rows_of(scenes, TABLE), TABLE), expected)
    rows = np.concatenate([count_instance_rows(*sides, TABLE) for sides in zip(truths, detections, strict=True)])
    assert_same(summarize_rows(rows, TABLE), expected)


def test_the_nuclei_score_as_one_cocoeval_over_all_images():
    data, random, scenes = nuclei("val"), np.random.default_rng(0), []
    for record in data.records[:12]:
        truth = read_segment_map(record)
        ids = np.roll(truth.ids, 1, 0)
        scores = random.uniform(size=len(truth.segments))
        ids[np.isin(ids, truth.segments["id"][scores < 0.2])] = 0
        segments = segment_rows(truth.segments["id"], truth.segments["category"], scores=scores)[scores >= 0.2]
        scenes.append((truth, SegmentMap(ids, segments)))
    maps = [[instances_of_map(side, data.categories) for side in sides] for sides in zip(*scenes, strict=True)]
    summary = summarize_rows(rows_of(scenes, data.categories), data.categories)
    assert 0.3 < summary["ap"] < 0.9
    assert_same(summary, by_one_cocoeval(*maps, data.categories))


def overlapping_instances(seed, detections):
    """(truth, detections) of one image, masks that overlap, more than 100 detections of one category if asked for."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :80]

    def blob():
        center, radius = random.uniform(0, (60, 80)), random.uniform(3, 15, 2)
        return ((y - center[0]) / radius[0]) ** 2 + ((x - center[1]) / radius[1]) ** 2 < 1

    truth = [{"category": int(random.choice([CAR, DOG])), "segmentation": blob()} for _ in range(8)]
    truth[3]["iscrowd"] = True
    moved = [
        {
            "category": int(random.choice([CAR, CAR, DOG, BUS])),
            "segmentation": np.roll(truth[random.integers(0, 8)]["segmentation"], random.integers(-2, 3, 2), (0, 1)),
            "score": float(random.uniform().__round__(2)),
        }
        for _ in range(detections)
    ]
    return truth, moved


def test_instances_that_overlap_score_as_one_cocoeval_over_all_images():
    pairs = [overlapping_instances(seed, count) for seed, count in enumerate([5, 300, 20, 40])]
    rows = np.concatenate([count_instance_rows(*pair, TABLE) for pair in pairs])
    truths, detections = (
        [
            [
                {
                    "iscrowd": False,
                    **entry,
                    "area": int(entry["segmentation"].sum()),
                    "segmentation": cocoeval.maskUtils.encode(np.asfortranarray(entry["segmentation"], np.uint8)),
                }
                for entry in side
            ]
            for side in sides
        ]
        for sides in zip(*pairs, strict=True)
    )
    assert_same(summarize_rows(rows, TABLE), by_one_cocoeval(truths, detections, TABLE))


def row_map(*runs, areas=None, scores=None):
    """Segment map of one row of pixels from (length, category or None for void, "crowd")."""
    ids = np.repeat(np.arange(1, len(runs) + 1), [run[0] for run in runs])
    for number, run in enumerate(runs, start=1):
        if run[1] is None:
            ids[ids == number] = 0
    kept = [number for number, run in enumerate(runs, start=1) if run[1] is not None]
    categories, crowds = [runs[i - 1][1] for i in kept], [len(runs[i - 1]) > 2 for i in kept]
    areas = [runs[i - 1][0] for i in kept] if areas is None else areas
    return SegmentMap(ids[None].astype(np.int32), segment_rows(kept, categories, crowds, areas, scores))


def measured(truth, prediction):
    return summarize_rows(count_rows(pair_segments(truth, prediction, len(TABLE)), TABLE), TABLE)


def test_an_iou_of_a_threshold_reaches_it():
    summary = measured(row_map((100, CAR)), row_map((80, CAR), (20, None)))
    # IoU 0.8 reaches 0.5, 0.55, 0.6, 0.65, 0.7, 0.75 and 0.8: 7 of 10 thresholds, each with AP 1.
    assert [summary[name] for name in ("ap", "ap50", "ap75")] == pytest.approx([0.7, 1, 1])


def test_a_missed_truth_costs_the_recalls_above_what_was_found():
    summary = measured(row_map((10, CAR), (10, CAR)), row_map((10, CAR), (10, None)))
    # Precision 1 up to recall 0.5, that is at 51 of the 101 recalls 0, 0.01, .. 1.
    assert summary["ap"] == pytest.approx(51 / 101)


@pytest.mark.parametrize(("wrong_score", "expected"), [(0.9, 0.5), (0.1, 1.0)])
def test_a_wrong_detection_costs_precision_if_it_scores_higher(wrong_score, expected):
    truth = row_map((10, CAR), (10, GRASS))
    assert measured(truth, row_map((10, CAR), (10, CAR), scores=[0.5, wrong_score]))["ap"] == pytest.approx(expected)


def test_void_stays_in_the_union_unlike_in_panoptic_quality():
    # 10 of 12 pixels: IoU 0.83 reaches 7 thresholds.
    assert measured(row_map((10, CAR), (2, None)), row_map((12, CAR)))["ap"] == pytest.approx(0.7)


def test_a_detection_on_a_crowd_is_ignored():
    truth = row_map((10, CAR), (10, CAR, "crowd"))
    assert measured(truth, row_map((10, CAR), (10, CAR), scores=[0.5, 0.9]))["ap"] == pytest.approx(1)


def test_the_size_of_a_truth_is_the_area_of_its_table():
    truth = row_map((100, CAR), (100, CAR), areas=[100, 2000])
    summary = measured(truth, row_map((100, None), (100, CAR)))
    assert summary["ap_small"] == 0 and summary["ap_medium"] == pytest.approx(1) and summary["ap_large"] is None


def test_stuff_has_no_ap_and_a_thing_without_truth_none():
    summary = measured(row_map((10, CAR), (10, GRASS)), row_map((10, CAR), (5, GRASS), (5, BUS)))
    assert summary["per_category"] == {"c": pytest.approx(1), "d": None, "b": None}
    assert summary["ap"] == pytest.approx(1)


def test_a_thing_with_truth_in_another_image_counts_its_wrong_detections():
    first = count_rows(pair_segments(row_map((10, GRASS)), row_map((10, CAR)), len(TABLE)), TABLE)
    second = count_rows(pair_segments(row_map((10, CAR)), row_map((10, CAR), scores=[0.5]), len(TABLE)), TABLE)
    # The wrong one scores 1, the right one 0.5.
    assert summarize_rows(np.concatenate([first, second]), TABLE)["ap"] == pytest.approx(0.5)


def test_no_rows_give_none():
    nothing = row_map((10, None))
    rows = count_rows(pair_segments(nothing, nothing, len(TABLE)), TABLE)
    assert rows.shape == (0, len(COLUMNS))
    assert summarize_rows(rows, TABLE) == {**dict.fromkeys(NAMES), "per_category": dict.fromkeys("cdb")}
    assert count_instance_rows([], [], TABLE).shape == (0, len(COLUMNS))


def test_nothing_is_printed(capsys):
    measured(row_map((10, CAR)), row_map((10, CAR)))
    assert capsys.readouterr() == ("", "")


def test_an_area_with_a_fraction_stays_what_the_annotation_says():
    """1024 is small and medium to COCOeval, 1024.5 medium alone."""
    ids = np.ones((40, 40), np.int32)
    truth = SegmentMap(ids, segment_rows([1], [CAR], areas=[1024.5]))
    prediction = SegmentMap(ids, segment_rows([1], [CAR]))
    assert [instance["area"] for instance in instances_of_map(truth, TABLE)] == [1024.5]
    numbers = summarize_rows(count_rows(pair_segments(truth, prediction, len(TABLE)), TABLE), TABLE)
    assert numbers["ap_small"] is None and numbers["ap_medium"] == pytest.approx(1)


def test_instances_that_fit_no_image_are_refused():
    mask = {"category": CAR, "segmentation": np.ones((2, 3), bool)}
    other = {"category": CAR, "segmentation": np.ones((2, 4), bool), "score": 0.5}
    with pytest.raises(InputError, match="masks of one image differ in size: 2x3, 2x4"):
        count_instance_rows([mask], [other], TABLE)
    with pytest.raises(InputError, match="category 2, expected a thing"):
        count_instance_rows([{**mask, "category": GRASS}], [], TABLE)


def test_without_pycocotools_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"masks as RLE need pycocotools: pip install pycocotools"):
        measured(row_map((10, CAR)), row_map((10, CAR)))
