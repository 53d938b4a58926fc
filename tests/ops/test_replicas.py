import tensorflow as tf

from tfpanoptic.ops.replicas import replicas_in_sync


def test_one_replica_without_a_strategy():
    assert replicas_in_sync() == 1


def test_a_strategy_of_one_device_is_one_replica():
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        assert replicas_in_sync() == 1
