import keras
import pytest
import tensorflow as tf

from tfpanoptic.errors import InputError
from tfpanoptic.train.strategy import make_strategy


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
