import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.errors import InputError
from tfpanoptic.metrics import METRICS
from tfpanoptic.segmenter import PanopticSegmenter

IMAGES, MAPS = np.zeros((2, 64, 64, 3), "float32"), np.zeros((2, 64, 64), "int32")
BATCHES = r'expected batches with targets, as `batches\("train"\)`'


@pytest.fixture(scope="module")
def segmenter(tiny_run):
    model = PanopticSegmenter.from_preset(tiny_run)
    model.compile("sgd", jit_compile=False)
    return model


@pytest.fixture
def no_trace(segmenter, monkeypatch):
    """The network must not be called: what is refused is refused before Keras traces anything."""
    monkeypatch.setattr(segmenter, "call", None)


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanSquaredError(), {"semantic_logits": "mse"}])
def test_a_loss_is_refused(segmenter, loss):
    with pytest.raises(InputError, match=r"compile: loss=.* the losses are built in") as refused:
        segmenter.compile("sgd", loss=loss)
    assert "0x" not in str(refused.value)


def test_weights_of_losses_are_those_of_the_configuration(segmenter):
    with pytest.raises(InputError, match=r"model\.loss_weights"):
        segmenter.compile("sgd", None, {"semantic": 2.0})


@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_refused_with_what_gives_pq(segmenter, argument, name):
    metric = METRICS[name](segmenter.categories)
    with pytest.raises(InputError, match=rf"compile: {argument}=.*callbacks=\[tfpanoptic\.ValidationPQ\(\)\]"):
        segmenter.compile("sgd", **{argument: [metric]})


def dataset(*parts):
    return tf.data.Dataset.from_tensors(parts if len(parts) > 1 else parts[0])


@pytest.mark.parametrize(
    "data, words",
    [
        ({"x": IMAGES}, r"found float32 \[2, 64, 64, 3\]"),
        ({"x": IMAGES, "y": MAPS}, "y is not used"),
        ({"x": dataset(IMAGES)}, r"found .*float32.* \[2, 64, 64, 3\]"),
        ({"x": dataset(IMAGES, MAPS)}, "found 2 parts"),
        ({"x": dataset(IMAGES, MAPS, np.ones(2))}, "found 3 parts"),
        ({"x": dataset({"image": IMAGES, "panoptic": MAPS})}, "found dicts of image, panoptic"),
        ({"x": {"image": IMAGES}}, "found dicts of image"),
        ({"x": dataset({"targets": MAPS}), "sample_weight": np.ones(2)}, "sample_weight is not used"),
        ({"x": dataset({"targets": MAPS}), "class_weight": {0: 1.0}}, "class_weight is not used"),
        ({"x": dataset({"targets": MAPS}), "validation_data": (IMAGES, MAPS)}, "fit: validation_data: found 2 parts"),
    ],
)
def test_data_of_another_form_are_refused_before_anything_is_traced(segmenter, no_trace, data, words):
    with pytest.raises(InputError, match=words):
        segmenter.fit(**data, verbose=0)


def test_evaluation_of_another_form_is_refused(segmenter, no_trace):
    with pytest.raises(InputError, match="evaluate: y is not used.*" + BATCHES):
        segmenter.evaluate(IMAGES, MAPS, verbose=0)


def test_what_a_generator_gives_is_refused_at_its_first_batch(segmenter):
    with pytest.raises(InputError, match="fit: y is not used"):
        segmenter.fit(((IMAGES, MAPS) for _ in range(2)), steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_another_global_policy_is_refused(tiny_experiment, policy):
    keras.config.set_dtype_policy(policy)
    try:
        with pytest.raises(InputError, match=f"global dtype policy is {policy}, and training.precision.*float32"):
            PanopticSegmenter(tiny_experiment, tiny_experiment.load_categories())
    finally:
        keras.config.set_dtype_policy("float32")


def test_the_model_has_the_policy_of_its_configuration(tiny_settings):
    from tfpanoptic.experiment import Experiment

    tiny_settings["training"]["precision"] = "mixed_bfloat16"
    experiment = Experiment.from_dict(tiny_settings)
    assert PanopticSegmenter(experiment, experiment.load_categories()).dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model.weights.h5", "folder"])
def test_other_files_than_keras_are_refused_and_not_begun(segmenter, name, tmp_path):
    with pytest.raises(InputError, match=rf"{name}: expected a name that ends in \.keras"):
        segmenter.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5"])
def test_hdf5_is_refused_whoever_saves(segmenter, name, tmp_path):
    with pytest.raises(InputError, match=r"cannot be saved as HDF5: expected a name that ends in \.keras"):
        keras.saving.save_model(segmenter, tmp_path / name)
