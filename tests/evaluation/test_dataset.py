from dataclasses import replace

import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.coco_panoptic import read_coco_panoptic, write_coco_panoptic
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.dataset import evaluate_dataset, without_unlabelled
from tfpanoptic.evaluation.state_file import load_state
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.segment_map import SegmentMap, segment_rows

TABLE = CategoryTable((Category(1, "cow", True, (0, 0, 1), 1), Category(2, "grass", False, (0, 0, 2), 2)))
SKY = Category(3, "sky", False, (0, 0, 3), 3)


def scene(rows, categories):
    ids = np.array(rows, np.int32)
    areas = [int((ids == segment_id).sum()) for segment_id in categories]
    return SegmentMap(ids, segment_rows(list(categories), list(categories.values()), areas=areas))


@pytest.fixture
def dataset(tmp_path):
    """Two images: a cow of two pixels on grass, and grass alone."""
    maps = scene([[1, 1, 2, 2]], {1: 1, 2: 2}), scene([[5, 5, 5, 5]], {5: 2})
    scenes = [(name, np.zeros((1, 4, 3), np.uint8), truth) for name, truth in zip("ab", maps)]
    write_coco_panoptic(tmp_path, TABLE, scenes)
    return read_coco_panoptic(tmp_path / "images", tmp_path / "panoptic.json", tmp_path / "panoptic")


def test_the_truth_as_prediction_is_perfect(dataset):
    pq = summarize(evaluate_dataset(dataset, TABLE, read_segment_map))["pq"]
    assert (pq["all"]["pq"], pq["all"]["n"]) == (1.0, 2)
    assert {name: row["tp"] for name, row in pq["per_category"].items()} == {"cow": 1, "grass": 2}


def test_segments_of_categories_that_nobody_labelled_are_neither_right_nor_wrong(dataset):
    """A model that knows sky, too, sees sky where the truth has the first cow: the cow is missed, no sky is wrong."""
    known = CategoryTable((*TABLE, SKY))
    other = replace(dataset, categories=known, table_only=("sky",))
    with_sky = scene([[9, 9, 2, 2]], {9: 3, 2: 2})
    evaluation = evaluate_dataset(
        other, known, lambda record: with_sky if record.file_name == "a.png" else read_segment_map(record), ("pq",)
    )
    rows = summarize(evaluation)["pq"]["per_category"]
    counted = {name: (row["tp"], row["fp"], row["fn"]) for name, row in rows.items()}
    assert counted == {"cow": (0, 0, 1), "grass": (2, 0, 0), "sky": (0, 0, 0)}
    kept = without_unlabelled(with_sky, other)
    np.testing.assert_array_equal(kept.ids, [[0, 0, 2, 2]])
    assert kept.segments["id"].tolist() == [2]


def test_images_in_the_state_are_not_predicted_again(dataset, tmp_path):
    predicted = []

    def predict(record):
        predicted.append(record.file_name)
        return read_segment_map(record)

    state = tmp_path / "s.jsonl"
    first = replace(dataset, records=dataset.records[:1])
    evaluate_dataset(first, TABLE, predict, state=state, source="model", total=2)
    evaluation = evaluate_dataset(dataset, TABLE, predict, state=state, source="model", total=2)
    assert (
        predicted == ["a.png", "b.png"] and sorted(evaluation.images) == sorted(load_state(state).images) == predicted
    )
    assert evaluation.total == 2
    with pytest.raises(
        InputError, match=r"s\.jsonl: holds an evaluation of other files, another model or other settings"
    ):
        evaluate_dataset(dataset, TABLE, predict, state=state, source="another model", total=2)


def test_a_dataset_of_other_categories_is_refused(dataset):
    with pytest.raises(InputError, match="not this model's categories"):
        evaluate_dataset(dataset, CategoryTable((replace(SKY, id=1),)), read_segment_map)


def test_a_prediction_that_contradicts_itself_is_told_with_its_photo(dataset):
    with pytest.raises(InputError, match=r"images/a\.png: prediction has pixels of segment 1, which its table"):
        evaluate_dataset(dataset, TABLE, lambda record: scene([[1, 1, 2, 2]], {2: 2}))
