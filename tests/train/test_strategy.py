from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from tfpanoptic.errors import InputError
from tfpanoptic.train.strategy import is_chief, make_strategy


@pytest.mark.parametrize("name", ["one", "auto"])
def test_one_device_is_one_replica(name):
    assert make_strategy(name).num_replicas_in_sync == 1


def test_mirrored_is_a_mirrored_strategy():
    assert isinstance(make_strategy("mirrored"), tf.distribute.MirroredStrategy)


def test_an_unknown_strategy_is_named():
    with pytest.raises(InputError, match="expected one of auto, one, mirrored, found 'tpu'"):
        make_strategy("tpu")


def test_a_keras_distribution_that_tensorflow_would_ignore_is_refused(monkeypatch):
    monkeypatch.setattr(keras.distribution, "distribution", lambda: object())
    with pytest.raises(InputError, match="no effect on TensorFlow"):
        make_strategy("one")


@pytest.mark.parametrize("name", ["one", "mirrored"])
def test_a_process_on_its_own_is_the_chief(name):
    assert is_chief(make_strategy(name))


@pytest.mark.parametrize(
    "task_type, task_id, jobs, chief",
    [
        ("chief", 0, ["chief", "worker"], True),
        ("worker", 0, ["chief", "worker"], False),
        ("worker", 0, ["worker"], True),
        ("worker", 1, ["worker"], False),
    ],
)
def test_of_several_workers_one_is_the_chief(task_type, task_id, jobs, chief):
    cluster = tf.train.ClusterSpec({job: ["localhost:1", "localhost:2"] for job in jobs})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, task_type=task_type, task_id=task_id)
    assert is_chief(SimpleNamespace(cluster_resolver=resolver)) == chief
