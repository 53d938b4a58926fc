import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tensorflow as tf

# Two logical CPUs, so that replicas are tested in this process; they must be set up before TensorFlow starts.
# Whatever asks for no strategy runs on the first.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

TINY = {
    "data": {"name": "nuclei"},
    "augment": {"crop": [64, 64], "flip_vertical": True},
    "model": {
        "name": "panoptic_deeplab",
        "backbone": {"name": "resnet10", "output_stride": 16, "width_multiplier": 0.0625},
        "normalization": "per_image",
        "align_corners": False,
        "aspp_rates": [2],
        "aspp_dropout": 0.0,
        "separable": False,
        "kernel_size": 3,
        "semantic": {
            "aspp_channels": 8,
            "channels": 8,
            "head_channels": 8,
            "skips": [{"endpoint": "res2", "channels": 8}],
        },
        "instance": {
            "aspp_channels": 8,
            "channels": 8,
            "head_channels": 8,
            "skips": [{"endpoint": "res2", "channels": 8}],
        },
        "postprocess": {"center_threshold": 0.001, "nms_kernel": 7, "max_centers": 20, "stuff_area": 0},
    },
    "training": {
        "steps": 6,
        "batch_size": 2,
        "optimizer": {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 1e-4},
        "evaluate_every": 3,
        "evaluate_images": 1,
        "checkpoint_every": 2,
        "log_every": 2,
    },
}


@pytest.fixture
def no_random_weights(monkeypatch):
    """Weights of 0, so that hundreds of millions of random numbers need not be drawn to be counted."""
    import keras

    initializers = keras.initializers
    for kind in (initializers.VarianceScaling, initializers.RandomNormal, initializers.TruncatedNormal):
        monkeypatch.setattr(kind, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
    yield
    # A network is in circles of references, and a large one has a gigabyte.
    gc.collect()


@pytest.fixture(scope="session")
def two_replicas():
    """A strategy of two replicas."""
    from tfpanoptic.train.strategy import make_strategy

    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    return strategy


@pytest.fixture
def tiny_settings():
    """Settings of an experiment that trains in a second or two; each test gets its own copy."""
    import copy

    return copy.deepcopy(TINY)


@pytest.fixture
def tiny_experiment(tiny_settings):
    from tfpanoptic.experiment import Experiment

    return Experiment.from_dict(tiny_settings)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Run folder of a tiny training that ended."""
    from tfpanoptic.experiment import Experiment
    from tfpanoptic.train.loop import train

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train(Experiment.from_dict(TINY), folder)
    return folder
