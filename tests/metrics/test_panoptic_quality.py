import numpy as np
import pytest
import tensorflow as tf

from tests.metrics.scenes import CROWD, TABLE, random_prediction, random_truth
from tfpanoptic.evaluation.measures.panoptic_quality import count, summarize
from tfpanoptic.metrics.panoptic_quality import PanopticQuality
from tfpanoptic.segment_map import from_panoptic_map


def measured(*pairs):
    metric = PanopticQuality(TABLE)
    for truth, prediction in pairs:
        metric.update_state(np.asarray(truth, np.int32)[None], np.asarray(prediction, np.int32)[None])
    return metric


def by_numpy(*pairs):
    maps = [[from_panoptic_map(np.asarray(m, np.int32), TABLE) for m in pair] for pair in pairs]
    counts = [count(truth, prediction, len(TABLE)) for truth, prediction in maps]
    return counts[0] if len(counts) == 1 else sum(counts[1:], counts[0])


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_it_counts_what_the_official_rules_count_on_random_scenes(first):
    for seed in range(first, first + 50):
        truth = random_truth(seed)
        prediction = random_prediction(seed + 10_000, truth)
        metric, counts = measured((truth, prediction)), by_numpy((truth, prediction))
        np.testing.assert_allclose(metric.iou, counts.iou, rtol=1e-12, err_msg=f"seed {seed}")
        np.testing.assert_array_equal(metric.true_positives, counts.tp, err_msg=f"seed {seed}")
        np.testing.assert_array_equal(metric.false_positives, counts.fp, err_msg=f"seed {seed}")
        np.testing.assert_array_equal(metric.false_negatives, counts.fn, err_msg=f"seed {seed}")


def test_the_summary_is_that_of_the_evaluation():
    pairs = [(random_truth(seed), random_prediction(seed, random_truth(seed))) for seed in range(5)]
    ours, theirs = measured(*pairs).summary(), summarize(by_numpy(*pairs), TABLE)
    assert ours["per_category"].keys() == theirs["per_category"].keys()
    for group in ("all", "things", "stuff"):
        assert ours[group] == pytest.approx(theirs[group])
    for name, entry in theirs["per_category"].items():
        assert ours["per_category"][name] == pytest.approx(entry)


def test_a_hand_computed_scene():
    # Thing: truth of 6 pixels, prediction of 4 inside: IoU 4/6. Stuff: truth 6, prediction 8, IoU 6/8.
    truth = [[10_001] * 6 + [30_000] * 6]
    prediction = [[30_000] * 2 + [10_001] * 4 + [30_000] * 6]
    result = measured((truth, prediction)).result()
    assert float(result["pq_things"]) == pytest.approx(4 / 6) and float(result["pq_stuff"]) == pytest.approx(6 / 8)
    assert float(result["pq"]) == pytest.approx((4 / 6 + 6 / 8) / 2) and float(result["rq"]) == 1


def test_a_batch_counts_as_its_images_do():
    scenes = [(random_truth(seed), random_prediction(seed, random_truth(seed))) for seed in range(4)]
    together = PanopticQuality(TABLE)
    together.update_state(*(np.stack(side) for side in zip(*scenes, strict=True)))
    assert together.summary() == measured(*scenes).summary()


def test_a_group_without_segments_is_none_and_nan():
    metric = measured(([[30_000]], [[30_000]]))
    assert metric.summary()["things"] == {"pq": None, "sq": None, "rq": None, "n": 0}
    assert np.isnan(metric.result()["pq_things"]) and float(metric.result()["pq"]) == 1


def test_a_map_against_itself_scores_one():
    scene = random_truth(8)
    scene[scene == CROWD] = 0
    scene[scene == 20_000] = 0
    assert float(measured((scene, scene)).result()["pq"]) == 1


@pytest.mark.parametrize("seed", range(10))
def test_instance_numbers_do_not_matter(seed):
    truth, prediction = random_truth(seed), random_prediction(seed, random_truth(seed))
    renamed = np.where(prediction % 10_000 > 0, prediction // 10_000 * 10_000 + 9 - prediction % 10_000, prediction)
    assert measured((truth, renamed)).summary() == measured((truth, prediction)).summary()


def test_it_works_inside_a_graph():
    metric = PanopticQuality(TABLE)
    update = tf.function(metric.update_state, input_signature=[tf.TensorSpec([None, None, None], tf.int32)] * 2)
    truth, prediction = random_truth(1), random_prediction(5, random_truth(1))
    update(truth[None], prediction[None])
    assert metric.summary() == measured((truth, prediction)).summary()


def test_reset_forgets_everything():
    metric = measured((random_truth(1), random_truth(2)))
    metric.reset_state()
    assert metric.summary()["all"]["n"] == 0


def test_sample_weights_are_refused():
    with pytest.raises(ValueError, match="sample weights"):
        PanopticQuality(TABLE).update_state(np.zeros((1, 1, 1), int), np.zeros((1, 1, 1), int), np.ones(1))


def test_two_replicas_count_what_one_device_counts(two_replicas):
    truth = np.stack([random_truth(seed) for seed in range(4)])
    prediction = np.stack([random_prediction(seed, image) for seed, image in enumerate(truth)])
    alone = PanopticQuality(TABLE)
    alone.update_state(truth, prediction)
    with two_replicas.scope():
        shared = PanopticQuality(TABLE)
    data = tf.data.Dataset.from_tensor_slices((truth, prediction)).batch(2)
    update = tf.function(lambda batch: two_replicas.run(shared.update_state, args=batch))
    for _ in range(2):
        shared.reset_state()
        for batch in two_replicas.experimental_distribute_dataset(data):
            update(batch)
        assert shared.summary() == alone.summary()
    assert alone.summary()["all"]["n"] == 4
