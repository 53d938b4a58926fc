import json
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from safetensors.numpy import save_file

from tests.architectures.experiments import MODELS
from tests.convert.eomt_files import backbone_of, hub_arrays, hub_backbone
from tests.convert.test_detectron2 import original_shape
from tests.convert.torch_files import tensor_of, write_zip
from tests.models.eomt_reference import recipe
from tfpanoptic.cli import main
from tfpanoptic.convert.deeplab2 import deeplab2_name
from tfpanoptic.convert.detectron2 import detectron2_name
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.weights import read_header

CATEGORIES = [{"id": 7, "name": "road", "isthing": 0}, {"id": 26, "name": "car", "isthing": 1}]


@pytest.fixture
def config(tiny_settings, tmp_path):
    """A narrow network with DeepLab2's names, for data of which only the categories are there."""
    (tmp_path / "categories.json").write_text(json.dumps(CATEGORIES))
    nowhere = {"images": "none", "annotations": "none.json", "panoptic": "none"}
    tiny_settings["data"] = {
        "name": "coco_panoptic",
        "train": nowhere,
        "val": nowhere,
        "categories": str(tmp_path / "categories.json"),
    }
    tiny_settings["model"] |= {
        "backbone": {"name": "resnet50", "width_multiplier": 0.0625},
        "normalization": "symmetric",
        "align_corners": True,
        "aspp_rates": [1],
        "separable": True,
    }
    tiny_settings["augment"]["crop"] = [65, 65]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tiny_settings))
    return path


def write_checkpoint(prefix, arrays):
    """The files of a TensorFlow checkpoint, under the names that object graphs give."""
    names = [f"{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in arrays]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(value) for value in arrays.values()],
    )


def convert(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tfpanoptic", "weights", "convert", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code or 0


def test_a_checkpoint_becomes_a_weight_file_that_the_model_loads(config, tmp_path, monkeypatch):
    model = PanopticSegmenter.from_yaml(config)
    noise = np.random.default_rng(0)
    arrays = {deeplab2_name(w.path): noise.standard_normal(w.shape).astype(np.float32) for w in model.weights}
    write_checkpoint(tmp_path / "ckpt-1", arrays)
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / "ckpt-1", "--from", "deeplab2", "--config", config, "--out", out]
    assert convert(monkeypatch, *arguments) == 0
    loaded = PanopticSegmenter.from_yaml(config, [f"training.initial_weights={out}"])
    for weight in loaded.weights:
        np.testing.assert_array_equal(weight, arrays[deeplab2_name(weight.path)])


def test_heads_of_other_categories_are_left_as_initialised_and_listed(config, tmp_path, monkeypatch, capsys):
    model = PanopticSegmenter.from_yaml(config)
    arrays = {deeplab2_name(w.path): np.zeros(w.shape, np.float32) for w in model.weights}
    for leaf in ("kernel", "bias"):
        name = f"semantic_last_layer/{leaf}"
        arrays[name] = np.zeros((*arrays[name].shape[:-1], 19), np.float32)
    write_checkpoint(tmp_path / "ckpt-1", arrays)
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / "ckpt-1", "--from", "deeplab2", "--config", config, "--out", out]
    assert convert(monkeypatch, *arguments) == 2
    assert "semantic logits (19 channels, the model has 2); --reset-heads" in capsys.readouterr().err
    assert not out.exists()
    assert convert(monkeypatch, *arguments, "--reset-heads") == 0
    assert "left as initialised: semantic_head/predict/kernel, semantic_head/predict/bias" in capsys.readouterr().out


def test_a_project_without_backbones_says_so(config, tmp_path, monkeypatch, capsys):
    arguments = ["--from", "deeplab2", "--config", config, "--out", tmp_path / "w.safetensors", "--backbone-only"]
    assert convert(monkeypatch, tmp_path / "ckpt-1", *arguments) == 2
    assert "--backbone-only: not possible with --from deeplab2" in capsys.readouterr().err


def test_a_checkpoint_of_another_model_is_refused_and_nothing_written(config, tmp_path, monkeypatch, capsys):
    write_checkpoint(tmp_path / "ckpt-1", {"encoder/_stem/_conv/kernel": np.zeros((3, 3, 3, 8), np.float32)})
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / "ckpt-1", "--from", "deeplab2", "--config", config, "--out", out]
    assert convert(monkeypatch, *arguments) == 2
    assert "encoder/_stem/_conv/kernel (found (3, 3, 3, 8), expected (7, 7, 3, 64))" in capsys.readouterr().err
    assert not out.exists()


@pytest.fixture
def panoptic_fpn_config(config, tmp_path):
    """A narrow Panoptic FPN with Detectron2's names, for a thing and a stuff category."""
    settings = yaml.safe_load(config.read_text())
    settings["model"] = {
        **MODELS["panoptic_fpn"],
        "backbone": {"name": "resnet50", "stride_on": "1x1", "max_pool": True, "width_multiplier": 0.0625},
        "norm": {"kind": "frozen", "epsilon": 1e-5},
        "normalization": "imagenet_mean",
    }
    settings["augment"]["crop"] = [64, 64]
    path = tmp_path / "panoptic_fpn.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_checkpoint_of_pytorch_becomes_a_weight_file_that_the_model_loads(panoptic_fpn_config, tmp_path, monkeypatch):
    model = PanopticSegmenter.from_yaml(panoptic_fpn_config)
    noise = np.random.default_rng(0)
    arrays = {
        detectron2_name(w.path): noise.standard_normal(original_shape(w.shape)).astype(np.float32)
        for w in model.weights
    }
    write_zip(tmp_path / "model.pth", {"model": {name: tensor_of(array) for name, array in arrays.items()}})
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / "model.pth", "--from", "detectron2", "--config", panoptic_fpn_config, "--out", out]
    assert convert(monkeypatch, *arguments) == 0
    loaded = PanopticSegmenter.from_yaml(panoptic_fpn_config, [f"training.initial_weights={out}"])
    values = {weight.path: np.asarray(weight) for weight in loaded.weights}
    kernel = arrays["backbone.bottom_up.res3.0.conv2.weight"]
    np.testing.assert_array_equal(values["stage3_block1_conv2/conv/kernel"], kernel.transpose(2, 3, 1, 0))
    bias = arrays["proposal_generator.rpn_head.anchor_deltas.bias"]
    np.testing.assert_array_equal(values["rpn/deltas/bias"], bias.reshape(-1, 4)[:, [1, 0, 3, 2]].ravel())
    assert loaded.segment(np.zeros((40, 50, 3), "uint8")).segmentation.shape == (40, 50)


def test_a_pickle_that_would_run_something_is_refused(panoptic_fpn_config, tmp_path, monkeypatch, capsys):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"model": {"stem": Malicious()}}))
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / "model.pkl", "--from", "detectron2", "--config", panoptic_fpn_config, "--out", out]
    assert convert(monkeypatch, *arguments) == 2
    message = capsys.readouterr().err
    assert "model.pkl" in message and "Traceback" not in message
    assert not (tmp_path / "ran").exists() and not out.exists()


def test_a_checkpoint_of_another_network_is_told_by_its_names_and_not_by_a_setting(
    panoptic_fpn_config, tmp_path, monkeypatch, capsys
):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"model": {"encoder.weight": np.zeros((2, 2), np.float32)}}))
    out = tmp_path / "w.safetensors"
    arguments = ["--from", "detectron2", "--config", panoptic_fpn_config, "--out", out]
    assert convert(monkeypatch, tmp_path / "model.pkl", "model.normalization=symmetric", *arguments) == 2
    message = capsys.readouterr().err
    assert "model.pkl: expected weights of Detectron2's Panoptic FPN" in message
    assert "0 of the checkpoint's 1 names fit" in message and "no place for encoder.weight" in message
    assert "normalization" not in message and not out.exists()


def test_a_configuration_of_another_architecture_is_named(config, tmp_path, monkeypatch, capsys):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"model": {"encoder.weight": np.zeros((2, 2), np.float32)}}))
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / "model.pkl", "--from", "detectron2", "--config", config, "--out", out]
    assert convert(monkeypatch, *arguments) == 2
    assert f"{config}: model.name: expected 'panoptic_fpn'" in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize("name", ["model.pkl", "model.pth"])
@pytest.mark.parametrize(("content", "words"), [("", "an empty file"), ("hello", "not a pickle, or a damaged one")])
def test_a_file_that_holds_no_weights_is_refused(
    name, content, words, panoptic_fpn_config, tmp_path, monkeypatch, capsys
):
    (tmp_path / name).write_text(content)
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / name, "--from", "detectron2", "--config", panoptic_fpn_config, "--out", out]
    assert convert(monkeypatch, *arguments) == 2
    assert f"{tmp_path / name}: {words}; expected a checkpoint of Detectron2" in capsys.readouterr().err


def test_a_configuration_without_its_data_says_how_to_give_the_categories(
    panoptic_fpn_config, tmp_path, monkeypatch, capsys
):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"model": {"encoder.weight": np.zeros((2, 2), np.float32)}}))
    arguments = ["--from", "detectron2", "--config", panoptic_fpn_config, "--out", tmp_path / "w.safetensors"]
    assert convert(monkeypatch, tmp_path / "model.pkl", "data.categories=null", *arguments) == 2
    message = capsys.readouterr().err
    assert f"{panoptic_fpn_config}: data.train.annotations: none.json: no such file" in message
    assert "data.categories=FILE" in message


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.normalization=symmetric", "model.normalization: expected 'imagenet_mean' .* found 'symmetric'"),
        ("model.backbone.max_pool=false", "model.backbone.max_pool: expected True .* found False"),
        ("model.norm.kind=batch", "model.norm.kind: expected 'frozen' .* found 'batch'"),
        ("model.norm.epsilon=0.001", "model.norm.epsilon: expected 1e-05 .* found 0.001"),
        ("model.instance.pooling.aligned=false", "model.instance.pooling.aligned: expected True .* found False"),
    ],
)
def test_a_model_that_would_compute_something_else_is_refused(
    setting, message, panoptic_fpn_config, tmp_path, monkeypatch, capsys
):
    """The shapes are the same, so only the settings can tell."""
    model = PanopticSegmenter.from_yaml(panoptic_fpn_config)
    arrays = {detectron2_name(w.path): np.zeros(original_shape(w.shape), np.float32) for w in model.weights}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"model": arrays}))
    out = tmp_path / "w.safetensors"
    arguments = [tmp_path / "model.pkl", setting, "--from", "detectron2", "--config", panoptic_fpn_config, "--out", out]
    assert convert(monkeypatch, *arguments) == 2
    assert re.search(message, " ".join(capsys.readouterr().err.split())) and not out.exists()


def eomt_config(config, tmp_path, form):
    """A narrow EoMT for a thing and a stuff category."""
    settings = yaml.safe_load(config.read_text())
    backbone = {"name": "vit_tiny", "form": form, "positions": [4, 4], "width": 8, "depth": 3, "heads": 2}
    settings["model"] = {"name": "eomt", "backbone": backbone, "queries": 5, "targets": {"points": 16}}
    settings["augment"]["crop"] = [64, 64]
    path = tmp_path / "eomt.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_an_eomt_of_another_grid_becomes_a_weight_file_and_says_what_changed(config, tmp_path, monkeypatch, capsys):
    arrays = hub_arrays("dinov2", classes=2, grid=(6, 6))
    save_file(arrays, str(tmp_path / "model.safetensors"))
    out, config = tmp_path / "w.safetensors", eomt_config(config, tmp_path, "dinov2")
    arguments = [tmp_path / "model.safetensors", "--from", "eomt", "--config", config, "--out", out]
    assert convert(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    assert "positions: resampled from 6 x 6 to 4 x 4 patches" in printed
    loaded = PanopticSegmenter.from_yaml(config, [f"training.initial_weights={out}"])
    values = {weight.path: np.asarray(weight) for weight in loaded.weights}
    np.testing.assert_array_equal(values["queries/table"], arrays["query.weight"])


def test_differences_from_dinov3_need_it_and_carry_its_licence(config, tmp_path, monkeypatch, capsys):
    base = hub_arrays("dinov3", classes=2)
    whole = {name: array + 0.1 * recipe.noise(f"{name} moved", array.shape) for name, array in base.items()}
    moved = {name: array - base[name] if name in backbone_of(base) else array for name, array in whole.items()}
    save_file(moved, str(tmp_path / "difference.safetensors"))
    save_file(hub_backbone(base, "dinov3"), str(tmp_path / "dinov3.safetensors"))
    out, config = tmp_path / "w.safetensors", eomt_config(config, tmp_path, "dinov3")
    arguments = [tmp_path / "difference.safetensors", "--from", "eomt", "--config", config, "--out", out]
    assert convert(monkeypatch, *arguments) == 2
    assert "difference.safetensors: the backbone's weights are differences from DINOv3" in capsys.readouterr().err
    save_file(hub_backbone(hub_arrays("dinov2"), "dinov2"), str(tmp_path / "dinov2.safetensors"))
    assert convert(monkeypatch, *arguments, "--backbone", tmp_path / "dinov2.safetensors") == 2
    assert "dinov2.safetensors: expected DINOv3 alone, as Meta publishes it, found DINOv2" in capsys.readouterr().err
    assert convert(monkeypatch, *arguments, "--backbone", tmp_path / "dinov3.safetensors") == 0
    assert "licence: DINOv3 License (Meta)" in capsys.readouterr().out
    assert read_header(out)["licence"].startswith("DINOv3 License (Meta)")
    loaded = PanopticSegmenter.from_yaml(config, [f"training.initial_weights={out}"])
    values = {weight.path: np.asarray(weight) for weight in loaded.weights}
    np.testing.assert_allclose(values["block1/fc1/kernel"], whole["layers.1.mlp.up_proj.weight"].T, atol=1e-6)
    assert loaded.licence.startswith("DINOv3 License (Meta)")


def test_a_transformer_alone_is_converted_for_training(config, tmp_path, monkeypatch, capsys):
    save_file(hub_backbone(hub_arrays("dinov3"), "dinov3"), str(tmp_path / "dinov3.safetensors"))
    out, config = tmp_path / "w.safetensors", eomt_config(config, tmp_path, "dinov3")
    arguments = [tmp_path / "dinov3.safetensors", "--from", "eomt", "--config", config, "--out", out]
    assert convert(monkeypatch, *arguments, "--backbone-only") == 0
    assert "left as initialised: queries/table" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "detectron2"], "--backbone: not possible with --from detectron2"),
        (["--from", "eomt", "--backbone-only"], "--backbone and --backbone-only exclude each other"),
    ],
)
def test_a_backbone_is_only_given_where_one_is_added(config, tmp_path, monkeypatch, capsys, options, words):
    arguments = [*options, "--backbone", "b.pth", "--config", config, "--out", tmp_path / "w.safetensors"]
    assert convert(monkeypatch, tmp_path / "model.pth", *arguments) == 2
    assert words in capsys.readouterr().err
