import numpy as np
import pytest
import tensorflow as tf

from tests.metrics.scenes import CROWD, TABLE, by_evaluation, check_two_replicas, random_pair, random_truth, updated
from tfpanoptic.evaluation.measures import parsing_covering
from tfpanoptic.metrics.parsing_covering import ParsingCovering


def measured(*pairs):
    return updated(ParsingCovering(TABLE), *pairs)


def assert_same(summary, expected):
    assert summary.keys() == expected.keys() and summary["n"] == expected["n"]
    assert summary["pc"] == pytest.approx(expected["pc"], rel=1e-12)
    for name, covering in expected["per_category"].items():
        assert summary["per_category"][name] == (covering if covering is None else pytest.approx(covering, rel=1e-12))


@pytest.mark.parametrize("seed", range(20))
def test_the_summary_is_that_of_the_evaluation(seed):
    assert_same(measured(random_pair(seed)).summary(), by_evaluation(parsing_covering, random_pair(seed)))


def test_the_summary_of_several_images_is_that_of_the_evaluation():
    pairs = [random_pair(seed) for seed in range(5)]
    assert_same(measured(*pairs).summary(), by_evaluation(parsing_covering, *pairs))


def test_a_hand_computed_scene():
    # Of the predicted car 3 pixels count, for the crowd and void leave its area: the first car has 2/3, the second 1/3.
    # Grass: 1 of 2 pixels.
    truth = [[10_001, 10_001, 10_002, CROWD, 30_000, 30_000, 0, 0]]
    prediction = [[10_007, 10_007, 10_007, 10_007, 30_000, 0, 30_000, 10_007]]
    metric = measured((truth, prediction))
    np.testing.assert_allclose(metric.weight, [0, 3 / 8, 0, 2 / 8, 0])
    np.testing.assert_allclose(metric.covered, [0, (2 * 2 / 3 + 1 / 3) / 8, 0, 1 / 8, 0])
    # Cars (4/3 + 1/3) / 3 = 5/9, grass 1/2.
    assert float(metric.result()["pc"]) == pytest.approx((5 / 9 + 1 / 2) / 2)


def test_a_batch_counts_as_its_images_do():
    pairs = [random_pair(seed) for seed in range(2)]
    together = ParsingCovering(TABLE)
    together.update_state(*(np.stack(side) for side in zip(*pairs, strict=True)))
    assert_same(together.summary(), measured(*pairs).summary())


@pytest.mark.parametrize("seed", range(5))
def test_instance_numbers_and_mirrors_do_not_matter(seed):
    truth, prediction = random_pair(seed)
    expected = measured((truth, prediction)).summary()
    renamed = np.where(prediction % 10_000 > 0, prediction // 10_000 * 10_000 + 9 - prediction % 10_000, prediction)
    assert_same(measured((truth, renamed)).summary(), expected)
    assert_same(measured((truth[:, ::-1], prediction[:, ::-1])).summary(), expected)


def test_a_map_against_itself_scores_one():
    assert float(measured((random_truth(8), random_truth(8))).result()["pc"]) == pytest.approx(1)


@pytest.mark.parametrize("label", [0, CROWD])
def test_nothing_but_void_or_a_crowd_is_nan_and_none(label):
    metric = measured((np.full((3, 4), label), np.full((3, 4), 10_001)))
    assert np.isnan(metric.result()["pc"])
    assert metric.summary() == {"pc": None, "n": 0, "per_category": dict.fromkeys(("c", "d", "g", "s"))}


def test_an_image_without_pixels_adds_nothing():
    metric = measured(random_pair(1))
    expected = metric.summary()
    assert updated(metric, (np.zeros((0, 0)), np.zeros((0, 0)))).summary() == expected


def test_it_works_inside_a_graph():
    metric = ParsingCovering(TABLE)
    update = tf.function(metric.update_state, input_signature=[tf.TensorSpec([None, None, None], tf.int32)] * 2)
    truth, prediction = random_pair(1)
    update(truth[None], prediction[None])
    assert_same(metric.summary(), measured((truth, prediction)).summary())
    assert float(tf.function(metric.result)()["pc"]) == pytest.approx(metric.summary()["pc"])


def test_sums_are_kept_in_float64():
    metric = ParsingCovering(TABLE)
    assert metric.covered.dtype == metric.weight.dtype == "float64"


def test_reset_forgets_everything():
    metric = measured(random_pair(1))
    metric.reset_state()
    assert metric.summary()["n"] == 0


def test_sample_weights_are_refused():
    with pytest.raises(ValueError, match="sample weights"):
        ParsingCovering(TABLE).update_state(np.zeros((1, 1, 1), int), np.zeros((1, 1, 1), int), np.ones(1))


def test_two_replicas_count_what_one_device_counts(two_replicas):
    check_two_replicas(lambda: ParsingCovering(TABLE), two_replicas)
