import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.doctor.perfect_prediction import perfect_predictor
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, count, summarize
from tfpanoptic.experiment import DEMO_CONFIG, Experiment
from tfpanoptic.models.panoptic_deeplab import ARCHITECTURE, PanopticDeepLabConfig
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.settings.input_size import InputConfig

CELL, DOT, GROUND = 1, 2, 3
TABLE = CategoryTable(
    tuple(Category(i, name, i < GROUND, (0, 0, 0), i) for i, name in enumerate(("cell", "dot", "ground"), start=1))
)
BRANCH = {"aspp_channels": 8, "channels": 8, "head_channels": 8, "skips": [{"endpoint": "res1", "channels": 4}]}
MODEL = PanopticDeepLabConfig.model_validate(
    {
        "backbone": {"name": "resnet10", "output_stride": 16},
        "align_corners": False,
        "semantic": BRANCH,
        "instance": BRANCH,
        "targets": {"sigma": 2.0},
        "postprocess": {"nms_kernel": 3, "max_centers": 5, "stuff_area": 0},
    }
)
INPUT = InputConfig()


def segments(ids, rows):
    """Segment map from pixel ids and {id: category, or (category, "crowd")}."""
    categories = [row[0] if isinstance(row, tuple) else row for row in rows.values()]
    crowds = [isinstance(row, tuple) for row in rows.values()]
    areas = [int((ids == i).sum()) for i in rows]
    return SegmentMap(ids, segment_rows(list(rows), categories, crowds, areas))


def two_cells():
    """Two cells with edges between the head's cells of 2 x 2 pixels; 30 x 44 is padded to 32 x 48."""
    ids = np.full((30, 44), 3, np.int32)
    ids[4:12, 6:14], ids[4:12, 20:28] = 1, 2
    return segments(ids, {1: CELL, 2: CELL, 3: GROUND})


def test_segments_on_the_cells_of_the_heads_come_back_exactly():
    truth = two_cells()
    predicted = perfect_predictor(ARCHITECTURE, MODEL, INPUT, TABLE)(truth)
    pairs = np.unique(np.stack([truth.ids, predicted.ids]).reshape(2, -1), axis=1)
    assert pairs.shape[1] == 3  # one predicted segment for each true one
    assert sorted(predicted.segments["category"].tolist()) == [CELL, CELL, GROUND]


def test_a_crowd_is_predicted_as_a_segment_that_joins_no_other():
    truth = two_cells()
    truth.segments["iscrowd"][1] = True
    counts = count(truth, perfect_predictor(ARCHITECTURE, MODEL, INPUT, TABLE)(truth), len(TABLE))
    assert (counts.tp.tolist(), counts.fp.tolist(), counts.fn.tolist()) == ([0, 1, 0, 1], [0] * 4, [0] * 4)
    assert counts.iou.tolist() == [0, 1, 0, 1]


def test_a_category_that_the_network_lacks_is_not_predicted():
    ids = two_cells().ids
    truth = segments(ids, {1: CELL, 2: CELL, 3: GROUND})
    known = CategoryTable(TABLE.categories[:2])
    predicted = perfect_predictor(ARCHITECTURE, MODEL, INPUT, TABLE, known)(truth)
    assert GROUND not in predicted.segments["category"]


def test_the_input_size_policy_shrinks_the_truth_and_enlarges_the_segments():
    ids = np.full((32, 32), 3, np.int32)
    ids[8:16, 8:16] = 1
    ids[20, 20] = 2  # one pixel, which the nearest neighbours of a quarter of the size pass over
    truth = segments(ids, {1: CELL, 2: CELL, 3: GROUND})
    predicted = perfect_predictor(ARCHITECTURE, MODEL, InputConfig(size=(8, 8)), TABLE)(truth)
    assert predicted.shape == (32, 32)
    assert sorted(predicted.segments["category"].tolist()) == [CELL, GROUND]


@pytest.fixture(scope="module")
def demo():
    return Experiment.from_yaml(DEMO_CONFIG)


def reached(experiment, dataset, images):
    """PQ by group of the first images."""
    predict = perfect_predictor(experiment.architecture, experiment.model, experiment.input, dataset.categories)
    counts = PanopticCounts.zeros(len(dataset.categories))
    for record in dataset.records[:images]:
        truth = read_segment_map(record)
        counts = counts + count(truth, predict(truth), len(dataset.categories))
    summary = summarize(counts, dataset.categories)
    return {group: summary[group]["pq"] for group in ("all", "things", "stuff")}


def test_the_demo_can_find_the_nuclei(demo):
    assert min(reached(demo, nuclei("val"), 5).values()) > 0.95


def test_heads_at_stride_4_cannot_outline_nuclei(demo):
    skips = [{"endpoint": "res3", "channels": 8}, {"endpoint": "res2", "channels": 8}]
    settings = demo.to_dict()
    for branch in ("semantic", "instance"):
        settings["model"][branch]["skips"] = skips
    pq = reached(Experiment.from_dict(settings), nuclei("val"), 5)
    assert pq["things"] < 0.92 < 0.98 < pq["stuff"]


def test_the_demo_can_find_the_shapes(tmp_path):
    settings = {"name": "shapes", "folder": str(tmp_path), "train_images": 1, "val_images": 5}
    experiment = Experiment.from_dict({**Experiment.from_yaml(DEMO_CONFIG).to_dict(), "data": settings})
    assert min(reached(experiment, experiment.load_data("val"), 5).values()) > 0.95
