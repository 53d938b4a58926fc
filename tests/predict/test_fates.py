from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.architectures import experiments, toy
from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.predict.fates import advice, fates_line, why_so_few
from tfpanoptic.tune.trials import Trials


@pytest.fixture
def model(monkeypatch):
    """The toy with queries: of each image three fall at the score, and one for each row of cells is no object."""

    def fates(outputs, size, valid_size, config, categories):
        rows = outputs["semantic_logits"].shape[0] * tf.shape(outputs["semantic_logits"])[1]
        counts = {"no_object": rows, "score": 3, "mask_threshold": valid_size[0, 0] // 1000, "kept": size[0] - size[0]}
        return {rule: tf.reshape(tf.cast(count, tf.int32), [1]) for rule, count in counts.items()}

    toy.register()
    monkeypatch.setitem(ARCHITECTURES, "toy", replace(ARCHITECTURES["toy"], fates=fates))
    return experiments.segmenter("toy")


@pytest.fixture
def dataset(model):
    dataset = model.experiment.load_data("val")
    return replace(dataset, records=dataset.records[:2])


def evaluation(dataset, predicted):
    """Of images in each of which so many segments are predicted, all wrong."""
    rows = {"pq": np.array([[1.0, 0, 0, predicted, 4]])}
    images = {record.file_name: ImageCounts(record.file_name, rows) for record in dataset.records}
    return Evaluation(dataset.categories, ("pq",), images=images)


def test_a_model_that_predicts_nothing_is_told_at_which_rule_its_queries_fall(model, dataset):
    rows = sum(-(-record.height // 4) for record in dataset.records)
    few, counts = why_so_few(model, dataset, evaluation(dataset, 0))
    assert few.startswith(
        "0 segments of things where there are 8: most queries with a category fall at model.postprocess.score"
    )
    assert counts == f"{rows + 6} queries of 2 images: {rows} no_object, 6 score, 0 mask_threshold, 0 kept"


def test_every_query_of_eomt_is_told_once(dataset):
    model = experiments.segmenter("eomt")
    few, counts = why_so_few(model, dataset, evaluation(dataset, 0))
    assert few.startswith("0 segments of things where there are 8: ")
    told, rules = counts.split(": ")
    assert told == "24 queries of 2 images"
    fates = {rule: int(count) for count, rule in (part.split() for part in rules.split(", "))}
    assert list(fates) == ["no_object", "score", "mask_threshold", "overlap", "kept"] and sum(fates.values()) == 24


def test_things_that_are_missed_are_told_where_stuff_is_found(model, dataset):
    found = {"pq": np.array([[1.0, 0, 0, 0, 11], [2.0, 0.9, 1, 0, 0]])}
    images = {record.file_name: ImageCounts(record.file_name, found) for record in dataset.records}
    few, _ = why_so_few(model, dataset, Evaluation(dataset.categories, ("pq",), images=images))
    assert few.startswith("0 segments of things where there are 22: ")
    found["pq"][0, 3:] = 2, 11  # a tenth of them is enough, right or wrong
    assert why_so_few(model, dataset, Evaluation(dataset.categories, ("pq",), images=images)) == []


def test_a_model_that_predicts_segments_and_one_without_queries_are_told_nothing(model, dataset, monkeypatch):
    assert why_so_few(model, dataset, evaluation(dataset, 1)) == []
    monkeypatch.setitem(ARCHITECTURES, "toy", replace(ARCHITECTURES["toy"], fates=None))
    assert why_so_few(model, dataset, evaluation(dataset, 0)) == []


def test_fates_of_stored_outputs_are_the_sums_over_the_images(model, dataset):
    trials = Trials(model, dataset, 0)
    rows = sum(-(-record.height // 4) for record in dataset.records)
    assert trials.fates(model.experiment) == {"no_object": rows, "score": 6, "mask_threshold": 0, "kept": 0}


def test_the_advice_names_the_rule_at_which_most_fall():
    assert "model.postprocess.overlap;" in advice({"no_object": 9, "score": 1, "overlap": 2, "kept": 0})
    assert advice({"no_object": 9, "score": 0, "overlap": 0, "kept": 0}) == "the model sees no object; train it longer"


def test_one_query_of_one_image_is_told_as_one():
    assert fates_line({"no_object": 1, "kept": 0}, 1) == "1 query of 1 image: 1 no_object, 0 kept"
