import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.replicas import global_sums, replicas_in_sync, separate_messages, with_an_image


def test_one_replica_without_a_strategy():
    assert replicas_in_sync() == 1


def test_a_strategy_of_one_device_is_one_replica():
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        assert replicas_in_sync() == 1


def test_on_one_device_the_sums_are_those_of_the_elements():
    sums = global_sums({"a": np.array([1.0, 2.0], "float32"), "b": np.array(5.0, "float32")})
    assert {name: float(value) for name, value in sums.items()} == {"a": 3.0, "b": 5.0}


@pytest.mark.parametrize(("images", "expected"), [(0, 1), (1, 1), (2, 2)])
def test_a_part_without_an_image_gets_one_of_zeros(two_replicas, images, expected):
    batch = {"image": tf.ones((images, 3, 2)), "targets": {"count": tf.ones(images, tf.int32)}}
    with two_replicas.scope():
        made = with_an_image(batch)
    assert made["image"].shape == (expected, 3, 2) and made["targets"]["count"].shape == (expected,)
    assert float(tf.reduce_sum(made["image"])) == images * 6 and int(tf.reduce_sum(made["targets"]["count"])) == images


def test_two_strategies_of_one_process_do_not_mix_their_messages():
    """TensorFlow numbers the first message of each alike, and refuses a second shape under one number."""
    for size in (8, 16):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            separate_messages()

        def total(size=size):
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.ones(size))

        totals = tf.function(lambda strategy=strategy, total=total: strategy.run(total))()
        assert float(tf.reduce_sum(strategy.experimental_local_results(totals)[0])) == 2 * size
