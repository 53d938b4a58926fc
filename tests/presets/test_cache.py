import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

from tests.convert.eomt_files import authors_arrays, hub_arrays
from tests.convert.torch_files import tensor_of, write_zip
from tests.presets.test_download import Server, closed_address, no_pauses  # noqa: F401
from tfpanoptic import presets
from tfpanoptic.cli import app
from tfpanoptic.convert.deeplab2 import SUFFIX, deeplab2_name
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.evaluation.options import EvaluateOptions
from tfpanoptic.experiment import Experiment
from tfpanoptic.predict.evaluate import evaluate_run
from tfpanoptic.presets import DIFFERENCES, PRESETS, Preset, cache
from tfpanoptic.segmenter import PanopticSegmenter


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def model(tiny_settings):
    """A tiny model with made weights."""
    # As DeepLab2's networks are.
    tiny_settings["model"] |= {"normalization": "symmetric", "align_corners": True}
    tiny_settings["augment"]["crop"] = [65, 65]
    experiment = Experiment.from_dict(tiny_settings)
    model = PanopticSegmenter(experiment, experiment.load_categories())
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def archive_of(model, tmp_path, names=("ckpt",)):
    """The bytes of a tar.gz with the model's weights as a checkpoint of DeepLab2."""
    (tmp_path / "made").mkdir()
    values = {deeplab2_name(weight.path) + SUFFIX: np.asarray(weight) for weight in model.infer_network.weights}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            prefix = str(tmp_path / "made" / name)
            tf.raw_ops.SaveV2(
                prefix=prefix,
                tensor_names=list(values),
                shape_and_slices=[""] * len(values),
                tensors=[tf.constant(value) for value in values.values()],
            )
        archive.add(tmp_path / "made", "some_model")
    return buffer.getvalue()


@pytest.fixture
def preset(server, model, tmp_path, monkeypatch):
    """A preset that the server has, and an empty cache."""
    server.content = archive_of(model, tmp_path)
    config = tmp_path / "tiny.yaml"
    config.write_text(model.experiment.to_yaml())
    made = Preset(str(config), "deeplab2", f"{server.address}/tiny_model.tar.gz", "made for a test")
    monkeypatch.setitem(presets.PRESETS, "tiny", made)
    monkeypatch.setattr(Preset, "name", "tiny")
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(cache.MIRROR, raising=False)
    return made


def assert_same_weights(model, other):
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, ours.path)


def test_a_preset_is_downloaded_and_converted_once(preset, server, model, tmp_path):
    assert_same_weights(model, PanopticSegmenter.from_preset("tiny"))
    assert_same_weights(model, PanopticSegmenter.from_preset("tiny", ["model.postprocess.stuff_area=7"]))
    assert len(server.asked) == 1 and not list((tmp_path / "cache" / "downloads").iterdir())


def test_a_preset_becomes_a_run_folder_that_says_where_it_is_from(preset, tmp_path):
    folder = cache.run_folder_of("tiny", PanopticSegmenter)
    assert folder == tmp_path / "cache" / "tiny"
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.yaml", "categories.json", "best.safetensors", "origin.json"}
    origin = json.loads((folder / "origin.json").read_text())
    assert origin["address"] == preset.address and origin["licence"] == "made for a test"
    segmenter = PanopticSegmenter.from_preset(folder)
    assert segmenter.categories.thing_ids == (1,) and segmenter.licence == "made for a test"


def test_a_folder_of_a_presets_name_that_holds_no_run_is_not_it(preset, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny" / "saved_model").mkdir(parents=True)
    assert_same_weights(model, PanopticSegmenter.from_preset("tiny"))


def test_a_run_folder_comes_before_a_preset_of_its_name(preset, server, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").symlink_to(tiny_run)
    PanopticSegmenter.from_preset("tiny")
    assert not server.asked


def test_a_file_that_differs_from_the_first_is_refused(preset, server, tmp_path):
    folder = cache.run_folder_of("tiny", PanopticSegmenter)
    (folder / "origin.json").unlink()
    server.content += b"more"
    with pytest.raises(WorkFailed, match="another file than the one that came first"):
        cache.run_folder_of("tiny", PanopticSegmenter)


def test_without_a_network_the_mirror_is_named(preset, monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "tiny", preset._replace(address=f"{closed_address()}/tiny_model.tar.gz"))
    with pytest.raises(WorkFailed, match="cannot be reached.*TFPANOPTIC_MIRROR may name a folder with tiny_model.tar"):
        PanopticSegmenter.from_preset("tiny")


def test_a_folder_or_another_server_stands_in_for_the_address(preset, server, model, tmp_path, monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "tiny", preset._replace(address=f"{closed_address()}/tiny_model.tar.gz"))
    monkeypatch.setenv(cache.MIRROR, f"{server.address}/mirror/")
    assert_same_weights(model, PanopticSegmenter.from_preset("tiny"))
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "second"))
    monkeypatch.setenv(cache.MIRROR, str(tmp_path / "files"))
    with pytest.raises(InputError, match=r"files/tiny_model\.tar\.gz: no such file; TFPANOPTIC_MIRROR is"):
        PanopticSegmenter.from_preset("tiny")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "tiny_model.tar.gz").write_bytes(server.content)
    assert_same_weights(model, PanopticSegmenter.from_preset("tiny"))
    assert (tmp_path / "files" / "tiny_model.tar.gz").is_file()


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_a_file_that_is_no_archive_is_named_and_forgotten(preset, server, content):
    right, server.content = server.content, content
    with pytest.raises(InputError, match=r"tiny: .*tiny_model\.tar\.gz: not a tar\.gz archive, or damaged.*[^\n]$"):
        PanopticSegmenter.from_preset("tiny")
    server.content = right
    PanopticSegmenter.from_preset("tiny")


def test_an_interrupted_conversion_does_not_download_again(preset, server, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.run_folder_of("tiny", interrupted)
    PanopticSegmenter.from_preset("tiny")
    assert len(server.asked) == 1


def test_two_at_once_download_once(preset, server):
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: cache.run_folder_of("tiny", PanopticSegmenter), range(2)))
    assert folders[0] == folders[1] and len(server.asked) == 1


def test_a_cache_that_cannot_be_written_is_named(preset, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "file"))
    with pytest.raises(InputError, match="file: cannot be written .*TFPANOPTIC_CACHE names another folder"):
        PanopticSegmenter.from_preset("tiny")


def test_an_archive_holds_one_checkpoint(preset, server, model, tmp_path):
    (tmp_path / "two").mkdir()
    server.content = archive_of(model, tmp_path / "two", ("first", "second"))
    with pytest.raises(InputError, match=r"expected one TensorFlow checkpoint .*first\.index, second\.index"):
        PanopticSegmenter.from_preset("tiny")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": "photos", "gt": "gt.json", "gt_dir": "gt"}, "gt.json: no such file"),
        ({"shard": "999/999"}, "--shard '999/999': no image in it"),
        ({"by": "weather"}, "weather"),
        ({"overrides": ("model.name=upsnet",)}, "model.name"),
        ({"overrides": ("model.postprocess.no_such_key=1",)}, "no_such_key"),
    ],
)
def test_what_is_wrong_with_an_evaluation_is_said_before_anything_is_downloaded(preset, server, options, words):
    with pytest.raises(InputError, match=words):
        evaluate_run(EvaluateOptions(run=Path("tiny"), **options))
    assert not server.asked


def test_missing_data_of_a_preset_are_named_before_anything_is_downloaded(preset, server, tmp_path):
    experiment = Experiment.from_yaml(PRESETS["panoptic_deeplab_resnet50_os32_cityscapes"].path)
    Path(preset.path).write_text(experiment.to_yaml())
    with pytest.raises(InputError, match=r"tiny\.yaml \(or give --images, --gt and --gt-dir\): data\.[^\n]*$"):
        evaluate_run(EvaluateOptions(run=Path("tiny")))
    assert not server.asked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_photo.jpg", "--out", "results"], "no_photo.jpg: no such file"),
        (["photo.png", "--out", "photo.png"], "photo.png: is a file"),
        (["photo.png", "model.postprocess.no_such_key=1", "--out", "results"], "no_such_key"),
    ],
)
def test_what_is_wrong_with_a_prediction_is_said_before_anything_is_downloaded(
    preset, server, tmp_path, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("photo.png")
    result = CliRunner().invoke(app, ["predict", "tiny", *arguments])
    assert result.exit_code != 0 and words in str(result.exception) + result.output and not server.asked


def test_a_name_that_is_no_preset_gets_those_near_it():
    with pytest.raises(InputError, match="no such folder; .*near it: .*panoptic_fpn_resnet50_coco"):
        PanopticSegmenter.from_preset("panoptic_fpn_resnet_50_coco")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_has_its_configuration_and_categories(preset):
    experiment = Experiment.from_yaml(preset.path)
    categories = {"coco": 133, "cityscapes": 19, "ade20k": 150}
    assert len(experiment.load_categories()) == categories[preset.name.rpartition("_")[2]]
    assert preset.header().keys() == {"Paper", "Published", "Parameters", "Command"}
    assert "PQ" in preset.header()["Published"] and preset.address.startswith("https://")


def test_no_two_presets_keep_their_file_under_one_name():
    files = [preset.file for preset in PRESETS.values()]
    assert len(set(files)) == len(files)
    assert PRESETS["panoptic_fpn_resnet50_coco"].file == "model_final_c10459.pkl"
    assert PRESETS["eomt_small_640_coco"].file == "coco_panoptic_eomt_small_640_2x_pytorch_model.bin"


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_model_that_is_a_difference_is_told_to_be_converted(name):
    with pytest.raises(InputError, match=f"{name}: published as differences from DINOv3.*`tfpanoptic models` says how"):
        PanopticSegmenter.from_preset(name)
    difference = DIFFERENCES[name]
    experiment = Experiment.from_yaml(difference.preset.path)
    assert experiment.model.backbone.form == "dinov3" and str(difference.preset.path) in difference.command()
    assert "DINOv3 License" in difference.preset.licence


def test_an_eomt_is_fetched_from_a_file_of_pytorch(server, tiny_settings, tmp_path, monkeypatch):
    arrays = hub_arrays("dinov2", classes=2)
    write_zip(tmp_path / "eomt.bin", {name: tensor_of(a) for name, a in authors_arrays(arrays, "dinov2").items()})
    server.content = (tmp_path / "eomt.bin").read_bytes()
    backbone = {"name": "vit_tiny", "positions": [4, 4], "width": 8, "depth": 3, "heads": 2}
    tiny_settings["model"] = {"name": "eomt", "backbone": backbone, "queries": 5}
    tiny_settings["augment"]["crop"] = [64, 64]
    config = tmp_path / "tiny.yaml"
    config.write_text(Experiment.from_dict(tiny_settings).to_yaml())
    made = Preset(str(config), "eomt", f"{server.address}/pytorch_model.bin", "made for a test")
    monkeypatch.setitem(presets.PRESETS, "tiny", made)
    monkeypatch.setattr(Preset, "name", "tiny")
    monkeypatch.setenv(cache.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(cache.MIRROR, raising=False)
    model = PanopticSegmenter.from_preset("tiny")
    values = {weight.path: np.asarray(weight) for weight in model.weights}
    np.testing.assert_array_equal(values["queries/table"], arrays["query.weight"])
    assert model.licence == "made for a test"


def test_a_page_in_place_of_an_eomt_is_named(preset, server, monkeypatch):
    server.content = b"<html>Access to this model is restricted</html>"
    monkeypatch.setitem(
        presets.PRESETS, "tiny", preset._replace(source="eomt", address=f"{server.address}/pytorch_model.bin")
    )
    with pytest.raises(InputError, match=r"tiny: .*pytorch_model\.bin: not a pickle, .*expected a checkpoint of EoMT"):
        PanopticSegmenter.from_preset("tiny")
