import numpy as np
import pytest
import tensorflow as tf

from tests.metrics.scenes import CROWD, TABLE, by_evaluation, check_two_replicas, random_pair, random_truth, updated
from tfpanoptic.evaluation.measures import semantic_iou
from tfpanoptic.metrics import METRICS
from tfpanoptic.metrics.semantic_iou import SemanticIoU


def measured(*pairs):
    return updated(SemanticIoU(TABLE), *pairs)


@pytest.mark.parametrize("seed", range(20))
def test_the_summary_is_that_of_the_evaluation(seed):
    assert measured(random_pair(seed)).summary() == by_evaluation(semantic_iou, random_pair(seed))


def test_the_summary_of_several_images_is_that_of_the_evaluation():
    pairs = [random_pair(seed) for seed in range(5)]
    assert measured(*pairs).summary() == by_evaluation(semantic_iou, *pairs)


def test_a_hand_computed_scene():
    # Cars: 2 of 3 found, 1 wrong: 2/4. Grass: 2 of 3, none wrong: 2/3. Void is left out, 4 of 6 are right.
    truth = [[10_001, 10_002, CROWD, 30_000, 30_000, 30_000, 0, 0]]
    prediction = [[10_005, 10_005, 0, 10_001, 30_000, 30_000, 10_001, 40_000]]
    result = measured((truth, prediction)).result()
    assert float(result["miou"]) == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert float(result["pixel_accuracy"]) == pytest.approx(4 / 6)


def test_the_state_holds_the_pixels_of_every_confusion():
    metric = measured(([[10_001, 0, 30_000]], [[20_001, 20_001, 0]]))
    expected = np.zeros((5, 5), np.int64)
    expected[1, 2] = expected[0, 2] = expected[3, 0] = 1
    np.testing.assert_array_equal(metric.confusion, expected)
    assert metric.confusion.dtype == "int64"


def test_a_batch_counts_as_its_images_do():
    pairs = [random_pair(seed) for seed in range(2)]
    together = SemanticIoU(TABLE)
    together.update_state(*(np.stack(side) for side in zip(*pairs, strict=True)))
    np.testing.assert_array_equal(together.confusion, measured(*pairs).confusion)


@pytest.mark.parametrize("seed", range(5))
def test_instance_numbers_and_mirrors_do_not_matter(seed):
    truth, prediction = random_pair(seed)
    expected = measured((truth, prediction)).summary()
    renamed = np.where(prediction % 10_000 > 0, prediction // 10_000 * 10_000 + 9 - prediction % 10_000, prediction)
    assert measured((truth, renamed)).summary() == expected
    assert measured((truth[:, ::-1], prediction[:, ::-1])).summary() == expected


def test_a_map_against_itself_scores_one():
    result = measured((random_truth(8), random_truth(8))).result()
    assert float(result["miou"]) == float(result["pixel_accuracy"]) == 1


@pytest.mark.parametrize("shape", [(0, 0), (3, 4)])
def test_nothing_but_void_is_nan_and_none(shape):
    metric = measured((np.zeros(shape), np.full(shape, 30_000)))
    assert np.isnan(metric.result()["miou"]) and np.isnan(metric.result()["pixel_accuracy"])
    assert metric.summary() == {
        "miou": None,
        "n": 0,
        "pixel_accuracy": None,
        "per_category": dict.fromkeys(("c", "d", "g", "s")),
    }


def test_it_works_inside_a_graph():
    metric = SemanticIoU(TABLE)
    update = tf.function(metric.update_state, input_signature=[tf.TensorSpec([None, None, None], tf.int32)] * 2)
    truth, prediction = random_pair(1)
    update(truth[None], prediction[None])
    assert metric.summary() == measured((truth, prediction)).summary()
    assert float(tf.function(metric.result)()["miou"]) == metric.summary()["miou"]


def test_reset_forgets_everything():
    metric = measured(random_pair(1))
    metric.reset_state()
    assert metric.summary()["n"] == 0


def test_sample_weights_are_refused():
    with pytest.raises(ValueError, match="sample weights"):
        SemanticIoU(TABLE).update_state(np.zeros((1, 1, 1), int), np.zeros((1, 1, 1), int), np.ones(1))


def test_two_replicas_count_what_one_device_counts(two_replicas):
    check_two_replicas(lambda: SemanticIoU(TABLE), two_replicas)


@pytest.mark.parametrize("metric", METRICS.values())
@pytest.mark.parametrize(
    ("truth", "prediction", "words"),
    [
        (np.zeros((1, 4, 4), int), np.zeros((2, 4, 4), int), "expected one shape"),
        (np.zeros((4, 4), int), np.zeros((4, 4), int), "truth: expected a batch of panoptic maps"),
        (np.zeros((1, 4, 4), int), np.zeros((1, 4, 4)), "prediction: expected a batch of panoptic maps, int32"),
    ],
)
def test_other_shapes_and_types_are_refused(metric, truth, prediction, words):
    with pytest.raises(ValueError, match=words):
        metric(TABLE).update_state(truth, prediction)
