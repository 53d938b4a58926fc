import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.metrics.scenes import TABLE, random_pair
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.metrics import METRICS
from tfpanoptic.metrics.semantic_iou import SemanticIoU

# Labels without a category, those of other maps, and stuff with a number; 2**32 + 10_001 is 10_001 in 32 bits.
UNKNOWN = [1, 9_999, -1, -10_001, 50_000, 2**24, 2**31 - 1, 2**32 + 10_001, 30_001]
metrics = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


def maps(label, side=1):
    """Truth and prediction, int64 [1, 2, 4], all of one car, but for a pixel of `label` on one side."""
    both = [np.full((1, 2, 4), 10_001, np.int64) for _ in range(2)]
    both[side][0, 0, 0] = label
    return both


@metrics
@pytest.mark.parametrize("label", UNKNOWN)
def test_an_unknown_label_is_named_and_counts_nothing(metric, label):
    metric = metric(TABLE)
    with pytest.raises(InputError, match=f"^prediction: label {label} "):
        metric.update_state(*maps(label))
    assert all(not np.any(keras.ops.convert_to_numpy(variable)) for variable in metric.variables)


@metrics
def test_a_semantic_map_is_no_panoptic_map(metric):
    """Category ids alone, every pixel of the other category: 1 where 2 is true."""
    table = CategoryTable((Category(1, "cell", True, (0, 0, 0), 1), Category(2, "ground", False, (0, 0, 1), 2)))
    truth = np.full((1, 20, 30), 2, np.uint8)
    truth[0, 5:15, 5:15] = 1
    with pytest.raises(InputError, match="truth: label 2 is of no category; expected 0 for void, or 10000 "):
        metric(table).update_state(truth, 3 - truth)


@metrics
@pytest.mark.parametrize("divisor", [256, 1_000, 1 << 16])
def test_maps_of_other_divisors_are_refused(metric, divisor):
    truth = np.array([[[1 * divisor + 1, 2 * divisor + 1, 3 * divisor]]], np.int32)
    with pytest.raises(InputError, match="label"):
        metric(TABLE).update_state(truth, truth)


@metrics
def test_more_categories_than_panoptic_maps_have_room_for_are_refused(metric):
    """Labels of category 1,678 on do not fit the 24 bits that the pairs of segments are counted in."""
    table = CategoryTable(tuple(Category(i, f"c{i}", True, (0, 0, 0), i) for i in range(1, 1_678)))
    with pytest.raises(InputError, match="at most 1676 categories fit a panoptic map, found 1677"):
        metric(table)


@metrics
def test_a_graph_names_an_unknown_label_and_counts_nothing(metric):
    metric = metric(TABLE)
    update = tf.function(metric.update_state, input_signature=[tf.TensorSpec([None, None, None], tf.int64)] * 2)
    for label in UNKNOWN:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"truth: label\] \[{label}\]"):
            update(*maps(label, side=0))
    assert all(not np.any(keras.ops.convert_to_numpy(variable)) for variable in metric.variables)
    update(*maps(10_001))
    assert not np.isnan([float(value) for name, value in metric.result().items() if "stuff" not in name]).any()


@pytest.mark.parametrize("label", [1, -1, 2**32 + 10_001, 30_001])
def test_what_xla_compiled_raises_at_the_result_and_is_no_number_in_a_graph(label):
    """XLA leaves assertions out; of the three metrics it can compile this one alone."""
    metric = SemanticIoU(TABLE)
    tf.function(metric.update_state, jit_compile=True)(*map(tf.constant, maps(label)))
    for read in (metric.result, metric.summary):
        with pytest.raises(InputError, match=f"^prediction: label {label} .*: 1$"):
            read()
    for compiled in (False, True):
        assert all(np.isnan(value) for value in tf.function(metric.result, jit_compile=compiled)().values())
    metric.reset_state()
    metric.update_state(*maps(10_001))
    assert float(metric.result()["miou"]) == 1


def test_an_unknown_label_of_one_replica_is_named(two_replicas):
    """The state is set as XLA would leave it where the second replica alone has such a label."""
    with two_replicas.scope():
        metric = SemanticIoU(TABLE)

    def mark():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        metric._unknown.pixels.assign_add(tf.cast([0, replica], tf.int64))
        metric._unknown.label.assign(tf.cast([0, -replica], tf.int64))

    tf.function(lambda: two_replicas.run(mark))()
    with pytest.raises(InputError, match="^prediction: label -1 .*: 1$"):
        metric.result()


@metrics
def test_floats_are_refused(metric):
    with pytest.raises(ValueError, match=r"expected a batch of panoptic maps, int32 \[B, H, W\], found float32"):
        metric(TABLE).update_state(*(labels.astype(np.float32) for labels in maps(10_001)))


@metrics
def test_a_metric_is_made_again_from_its_configuration(metric):
    ours = metric(TABLE, name="mine")
    again = metric.from_config(ours.get_config())
    assert again.categories == TABLE and again.name == "mine"
    through_keras = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    truth, prediction = random_pair(3)
    for one in (ours, again, through_keras):
        one.update_state(truth[None], prediction[None])
    assert ours.summary() == again.summary() == through_keras.summary()


@metrics
def test_a_model_compiled_with_a_metric_is_loaded_with_it(metric, tmp_path):
    image = keras.Input((4, 4), dtype="int32")
    model = keras.Model(image, keras.layers.Identity(dtype="int32")(image))
    model.compile(loss="mae", metrics=[metric(TABLE)], jit_compile=False)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    truth, prediction = (labels[None, :4, :4] for labels in random_pair(3))
    scores = [one.evaluate(prediction, truth, return_dict=True, verbose=0) for one in (model, loaded)]
    assert scores[0] == pytest.approx(scores[1], nan_ok=True) and len(scores[0]) > 1
