from dataclasses import replace

import numpy as np
import pytest

from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.predict.evaluate import evaluate_images
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.tune.trials import Trials, part_of, pq_of


@pytest.fixture(scope="module")
def segmenter(tiny_run):
    return PanopticSegmenter.from_preset(tiny_run)


@pytest.fixture(scope="module")
def dataset(segmenter):
    dataset = segmenter.experiment.load_data("val")
    return replace(dataset, records=dataset.records[:2])


def test_settings_tried_on_stored_outputs_count_what_an_evaluation_counts(segmenter, dataset, tiny_run):
    trials = Trials(segmenter, dataset, budget=0)
    overrides = ["model.postprocess.center_threshold=0.9", "model.postprocess.nms_kernel=3"]
    counted, advanced = [], []
    for settings in ([], overrides):
        model = PanopticSegmenter.from_preset(tiny_run, settings)
        expected = evaluate_images(model, dataset, ("pq",))
        found = trials.evaluate(RunFolder(tiny_run).load_experiment(settings), range(2), lambda: advanced.append(1))
        np.testing.assert_array_equal(found.rows("pq"), expected.rows("pq"))
        counted.append(found.rows("pq"))
    assert len(advanced) == 4 and not np.array_equal(*counted)


def test_a_part_has_the_counters_of_its_images(dataset):
    rows = [np.array([[1.0, 0.5 + number, 1, 0, number]]) for number in range(2)]
    images = {r.file_name: ImageCounts(r.file_name, {"pq": own}) for r, own in zip(dataset.records, rows, strict=True)}
    part = part_of(Evaluation(dataset.categories, ("pq",), images=images), dataset, [1])
    np.testing.assert_array_equal(part.rows("pq"), rows[1])
    assert pq_of(part) == 1.5 / (1 + 1 / 2) and len(part) == part.total == 1
