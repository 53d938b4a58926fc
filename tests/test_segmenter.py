import io

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

from tfpanoptic.backbones.imagenet import read_bundled
from tfpanoptic.backbones.mobilenet_v2 import BUNDLED
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.errors import InputError
from tfpanoptic.predict.evaluate import evaluate_images, evaluate_with_pictures, scenes_of
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.segmenter import PanopticSegmenter


@pytest.fixture(scope="module")
def segmenter(tiny_run):
    return PanopticSegmenter.from_preset(tiny_run)


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def test_a_call_on_images_gives_the_outputs_of_the_heads(segmenter, photo):
    outputs = segmenter(np.stack([photo[:48, :64]] * 2))
    # Heads at stride 4: 48 x 64 -> 12 x 16; 2 categories.
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {
        "semantic_logits": (2, 12, 16, 2),
        "center_heatmap": (2, 12, 16, 1),
        "center_offset": (2, 12, 16, 2),
    }


def test_the_result_has_the_size_of_the_photo(segmenter, photo):
    assert segmenter.segment(photo).segmentation.shape == (50, 70)


def test_path_bytes_array_and_picture_give_the_same_result(segmenter, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    buffer = io.BytesIO((tmp_path / "photo.png").read_bytes())
    sources = [tmp_path / "photo.png", str(tmp_path / "photo.png"), buffer.getvalue(), Image.fromarray(photo)]
    expected = segmenter.segment(photo).segmentation
    for result in segmenter.segment(sources):
        np.testing.assert_array_equal(result.segmentation, expected)


@pytest.mark.parametrize(
    "source, words",
    [
        ("none.jpg", "none.jpg: no such file"),
        (b"no image", "not an image"),
        (np.zeros((4, 4, 3)), "expected uint8"),
        (np.zeros((4, 4), np.uint8), "expected uint8"),
    ],
)
def test_what_is_no_image_is_refused(segmenter, source, words):
    with pytest.raises(InputError, match=words):
        segmenter.segment(source)


def test_a_photo_beyond_the_limit_is_refused_with_the_way_out(segmenter):
    large = np.broadcast_to(np.uint8(0), (6000, 6000, 3))
    for use in (segmenter.segment, segmenter.segment_map):
        with pytest.raises(InputError, match="image: 6000 x 6000 pixels are more than the 32 million.*max_long_side"):
            use(large)


def test_deep_grey_values_are_read_by_the_rule_of_the_model_wherever_images_are(segmenter, tmp_path, monkeypatch):
    """12 bits in a file of 16, whose range is 0 to 4095."""
    values = np.zeros((16, 16), np.uint16)
    values[0] = 4095
    Image.fromarray(values).save(tmp_path / "a.tif")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png")
    record = ImageRecord(tmp_path / "a.tif", tmp_path / "a.png", "a.tif", 1, 16, 16, segment_rows([], []))
    dataset = Dataset("deep", "val", segmenter.categories, (record,))
    policy = segmenter.experiment.input.model_copy(update={"deep_grey": "file_range"})
    monkeypatch.setattr(segmenter, "experiment", segmenter.experiment.model_copy(update={"input": policy}))
    seen = []

    def segment_map(image):
        seen.append(image[:2, 0, 0].tolist())
        return SegmentMap(np.zeros(image.shape[:2], np.int32), segment_rows([], []))

    monkeypatch.setattr(segmenter, "segment_map", segment_map)
    segmenter.segment(tmp_path / "a.tif")
    segmenter.evaluate_panoptic(dataset)
    evaluate_images(segmenter, dataset)
    evaluate_with_pictures(segmenter, dataset, tmp_path / "pictures")
    scenes_of(segmenter, dataset)("a.tif")
    assert seen == [[255, 0]] * 5


def test_a_keras_file_gives_the_model_back(segmenter, photo, tmp_path):
    segmenter.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for name, value in segmenter(photo[None, :48, :64]).items():
        np.testing.assert_array_equal(loaded(photo[None, :48, :64])[name], value)


def test_weights_files_say_what_they_are_for(segmenter, tmp_path):
    from tfpanoptic.weights import read_header

    segmenter.save_weights_file(tmp_path / "w.safetensors")
    header = read_header(tmp_path / "w.safetensors")
    assert header["channels"] == '{"semantic_logits": [1, 2]}'
    assert yaml.safe_load(header["config"]) == segmenter.experiment.to_dict()


def test_a_configuration_gives_a_new_model(tiny_settings, tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny_settings))
    model = PanopticSegmenter.from_yaml(tmp_path / "c.yaml", ["model.void_channel=true"])
    assert model.channels == {"semantic_logits": (0, 1, 2)}


def test_a_new_model_starts_from_the_weights_it_is_given(segmenter, tiny_settings, tmp_path):
    segmenter.save_weights_file(tmp_path / "w.safetensors")
    tiny_settings["training"]["initial_weights"] = str(tmp_path / "w.safetensors")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny_settings))
    model = PanopticSegmenter.from_yaml(tmp_path / "c.yaml")
    for ours, theirs in zip(model.weights, segmenter.weights):
        np.testing.assert_array_equal(ours, theirs)


def test_what_initial_weights_do_not_fit_is_told_on_one_line(segmenter, tiny_settings, tmp_path, capsys):
    """A channel for void that the file lacks: of the semantic head's last layer, kernel and bias, it stays new."""
    segmenter.save_weights_file(tmp_path / "w.safetensors")
    settings = {"initial_weights": str(tmp_path / "w.safetensors"), "initial_weights_strict": False}
    tiny_settings["training"] |= settings
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny_settings))
    PanopticSegmenter.from_yaml(tmp_path / "c.yaml")
    assert capsys.readouterr().err == ""
    PanopticSegmenter.from_yaml(tmp_path / "c.yaml", ["model.void_channel=true"])
    line = capsys.readouterr().err.strip()
    assert line.startswith(f"{tmp_path / 'w.safetensors'}: {len(segmenter.weights) - 2} weights loaded; 2 in part (sem")
    assert "left as they were" not in line and "not used" not in line and "\n" not in line


def test_a_new_model_starts_from_the_imagenet_weights_of_its_backbone(tiny_settings, tmp_path, capsys, monkeypatch):
    tiny_settings["model"] |= {
        "backbone": {"name": "mobilenet_v2", "weights": "imagenet"},
        "normalization": "symmetric",
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny_settings))
    model = PanopticSegmenter.from_yaml(tmp_path / "c.yaml")
    bundled = read_bundled(BUNDLED)
    kernels = {weight.path: weight for weight in model.weights if weight.path.endswith("_project/conv/kernel")}
    assert len(kernels) == 17
    for path, kernel in kernels.items():
        np.testing.assert_array_equal(kernel, bundled[path])
    rest = len(model.weights) - len(bundled)
    line = f"ImageNet weights of mobilenet_v2: {len(bundled)} weights loaded; {rest} of the model left as they were"
    assert capsys.readouterr().err.startswith(line)
    # A trained model, or one that starts from all weights of another, does not need them.
    monkeypatch.setattr("tfpanoptic.backbones.imagenet.set_imagenet_weights", None)
    model.save_weights_file(tmp_path / "w.safetensors")
    initial = f"training.initial_weights={tmp_path / 'w.safetensors'}"
    again = PanopticSegmenter.from_yaml(tmp_path / "c.yaml", [initial])
    np.testing.assert_array_equal(again.weights[0], model.weights[0])


@pytest.mark.parametrize("folder, words", [("none", "no such folder"), (".", "not a run folder")])
def test_what_is_no_run_is_named(folder, words, tmp_path):
    with pytest.raises(InputError, match=words):
        PanopticSegmenter.from_preset(tmp_path / folder)


def test_a_run_without_weights_is_named(tiny_run, tmp_path):
    for name in ("config.yaml", "categories.json"):
        (tmp_path / name).write_text((tiny_run / name).read_text())
    with pytest.raises(InputError, match="no weights yet"):
        PanopticSegmenter.from_preset(tmp_path)


def test_evaluation_gives_fractions_of_every_group(segmenter):
    summary = segmenter.evaluate_panoptic(segmenter.experiment.load_data("val"), limit=2)
    assert set(summary) == {"all", "things", "stuff", "per_category"}
    assert set(summary["per_category"]) == {"nucleus", "background"}
    assert 0 <= summary["all"]["pq"] <= 1


def test_the_experiments_own_data_are_evaluated_by_the_name_of_their_split(segmenter):
    val = segmenter.experiment.load_data("val")
    assert segmenter.evaluate_panoptic("val", limit=1) == segmenter.evaluate_panoptic(val, limit=1)
    with pytest.raises(InputError, match="train and val, not 'test'"):
        segmenter.evaluate_panoptic("test")


def test_evaluation_of_other_categories_is_refused(segmenter):
    from dataclasses import replace

    from tfpanoptic.categories import CategoryTable

    dataset = segmenter.experiment.load_data("val")
    cats = CategoryTable.from_coco([{"id": 1, "name": "cat", "isthing": 1}])
    with pytest.raises(InputError, match="not this model's categories"):
        segmenter.evaluate_panoptic(replace(dataset, categories=cats))


def test_float_outputs_under_mixed_precision(tiny_settings):
    from tfpanoptic.experiment import Experiment

    tiny_settings["training"]["precision"] = "mixed_bfloat16"
    experiment = Experiment.from_dict(tiny_settings)
    model = PanopticSegmenter(experiment, experiment.load_categories())
    for value in model(np.zeros((1, 48, 64, 3), np.uint8)).values():
        assert value.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_fit_on_batches_without_targets_is_an_error_that_says_what_it_needs(segmenter):
    segmenter.compile(optimizer="sgd", jit_compile=False)
    with pytest.raises(InputError, match=r'batches\("train"\)'):
        segmenter.fit(np.zeros((2, 64, 64, 3), "float32"), verbose=0)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_has_at_least_an_image(segmenter, batch_size):
    with pytest.raises(InputError, match=f"batch_size: expected at least 1, found {batch_size}"):
        segmenter.batches("train", batch_size=batch_size)


def test_a_replica_without_an_image_changes_no_validation(tiny_run, two_replicas):
    """Three images in batches of two: the last one is alone, so one replica of the two has none."""

    def validated():
        model = PanopticSegmenter.from_preset(tiny_run)
        model.compile(optimizer="sgd", jit_compile=False)
        return model.evaluate(model.batches("val", 2).unbatch().take(3).batch(2), return_dict=True, verbose=0)

    with two_replicas.scope():
        shared = validated()
    assert shared == pytest.approx(validated(), rel=1e-5)


def frozen_but_heads(segmenter):
    """A compiled copy of which the heads alone train, and after a step of `fit`."""
    model = PanopticSegmenter.from_config(segmenter.get_config())
    for layer in model.train_network.layers:
        layer.trainable = layer.name.endswith("_head")
    model.compile("adam", jit_compile=False)
    model.fit(model.batches("train"), steps_per_epoch=1, verbose=0)
    return model


def test_a_keras_file_keeps_what_is_frozen_and_the_state_of_the_optimizer(segmenter, tmp_path):
    model = frozen_but_heads(segmenter)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    paths = [variable.path for variable in model.trainable_variables]
    assert [variable.path for variable in loaded.trainable_variables] == paths
    assert 0 < len(paths) < len(segmenter.trainable_variables)
    for ours, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(loaded.optimizer.iterations) == 1
    # Normalisation by batch statistics asks its layer.
    ours, theirs = (
        {lay.path: lay.trainable for lay in one._flatten_layers() if lay.weights} for one in (model, loaded)
    )
    assert ours == theirs


def test_a_layer_within_another_stays_frozen_alone(segmenter):
    model = PanopticSegmenter.from_config(segmenter.get_config())
    inner = next(layer for layer in model._flatten_layers() if layer.weights and not layer._layers)
    inner.trainable = False
    again = PanopticSegmenter.from_config(model.get_config())
    assert [layer.path for layer in again._flatten_layers() if layer.weights and not layer.trainable] == [inner.path]


def test_a_variable_stays_frozen_alone(segmenter, tmp_path):
    model = PanopticSegmenter.from_config(segmenter.get_config())
    frozen = model.trainable_variables[0]
    frozen.trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    paths = [variable.path for variable in loaded.trainable_variables]
    assert paths == [variable.path for variable in segmenter.trainable_variables if variable.path != frozen.path]
    assert [layer for layer in loaded._flatten_layers() if not layer.trainable] == []


def test_a_licence_stays_with_the_weights(segmenter, tmp_path):
    segmenter.licence = "made for a test"
    segmenter.save_weights_file(tmp_path / "w.safetensors")
    segmenter.save_preset(tmp_path / "run")
    segmenter.licence = "unknown"
    report = segmenter.load_weights_file(tmp_path / "w.safetensors")
    assert segmenter.licence == report.licence == "made for a test"
    assert PanopticSegmenter.from_preset(tmp_path / "run").licence == "made for a test"


def test_a_saved_preset_is_the_model_for_everything_that_takes_a_run(segmenter, photo, tmp_path):
    segmenter.save_preset(tmp_path / "run")
    again = PanopticSegmenter.from_preset(tmp_path / "run")
    np.testing.assert_array_equal(again.segment(photo).segmentation, segmenter.segment(photo).segmentation)
    assert again.experiment == segmenter.experiment and again.categories == segmenter.categories
    with pytest.raises(InputError, match="exists already"):
        segmenter.save_preset(tmp_path / "run")
    segmenter.save_preset(tmp_path / "run", overwrite=True)
    with pytest.raises(InputError, match="no checkpoint to go on from.*initial_weights=.*last.safetensors"):
        RunFolder(tmp_path / "run").require_usable(segmenter.experiment, resume=True, overwrite=False)


def test_export_writes_the_librarys_saved_model(segmenter, photo, tmp_path):
    import tensorflow as tf

    segmenter.export(tmp_path / "saved")
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"](image=tf.constant(photo[None]))
    np.testing.assert_array_equal(served["panoptic"][0], segmenter.segment_map(photo).ids)
    for wrong, words in (
        ({"format": "coreml"}, "saved_model.*, found 'coreml'"),
        ({"input_signature": []}, "uint8"),
        ({"size": (64, 64)}, "size is "),
    ):
        with pytest.raises(InputError, match=f"export: .*{words}"):
            segmenter.export(tmp_path / "other", **wrong)
    assert not (tmp_path / "other").exists()


def test_quantize_says_what_to_do(segmenter):
    with pytest.raises(InputError, match="export.*litert.*int8"):
        segmenter.quantize("int8")


@pytest.mark.parametrize("source", [None, (image for image in ()), 3, object(), b"no image", {}])
def test_messages_about_images_have_no_address(segmenter, source):
    with pytest.raises(InputError, match="^image") as refused:
        segmenter.segment(source)
    assert "0x" not in str(refused.value) and "object [" not in str(refused.value)
