import json
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.convert.eomt_files import (
    WIDTH,
    authors_arrays,
    backbone_of,
    eomt_weights,
    hub_arrays,
    hub_backbone,
    hub_shapes,
    meta_backbone,
    renamed,
)
from tests.convert.torch_files import tensor_of, write_zip
from tests.models import eomt_reference as reference
from tests.models.eomt_reference import recipe
from tfpanoptic.convert.eomt import add_backbone, licence, load_backbone, load_variables, notes, read_checkpoint
from tfpanoptic.convert.resampled import resampled_kernel, resampled_positions
from tfpanoptic.errors import InputError
from tfpanoptic.models.eomt import build

FORMS = ("dinov2", "dinov3")


def value(model, path):
    return next(w.value for w in model.weights if w.path == path)


def nothing_is_set(model):
    return all(w.value is None for w in model.weights)


def assert_same_weights(model, other):
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value, ours.path)


def loaded(form, variables=None):
    """A model with the weights of a file."""
    model = eomt_weights(form)
    assert load_variables(model, hub_arrays(form) if variables is None else variables) == ()
    return model


def with_settings(model, **settings):
    """The model as of a configuration of EoMT with this much of it."""
    model.experiment = SimpleNamespace(model=SimpleNamespace(name="eomt", **settings))
    return model


@pytest.mark.parametrize("form", FORMS)
def test_a_network_of_the_authors_file_gives_the_originals_logits(form, tmp_path):
    name = f"tiny_{form}"
    tensors = {key: tensor_of(array) for key, array in authors_arrays(reference.variables(name), form).items()}
    write_zip(tmp_path / "pytorch_model.bin", tensors)
    network = build(reference.config(name), reference.categories(name)).infer
    load_variables(network, read_checkpoint(tmp_path / "pytorch_model.bin"))
    outputs = network(reference.inputs(name))
    for key, axes in (("class_logits", (0, 1, 2)), ("mask_logits", (0, 3, 1, 2))):
        expected = reference.outputs(name)[f"inference/{key}"]
        # Both work in float32, in another order.
        np.testing.assert_allclose(np.transpose(outputs[key], axes), expected, atol=5e-5 * expected.std())


@pytest.mark.parametrize("form", FORMS)
def test_the_names_of_these_tests_are_those_of_the_stored_networks(form):
    shapes = {name: np.shape(array) for name, array in reference.variables(f"tiny_{form}_wide").items()}
    assert hub_shapes(form, width=64, depth=6, queries=20, classes=12, grid=(8, 12)) == shapes


@pytest.mark.parametrize("form", FORMS)
def test_every_array_is_used_once_and_every_weight_set_once(form):
    model = loaded(form)
    assert len(model.weights) == len(hub_arrays(form))
    assert not nothing_is_set(model)
    for name in hub_shapes(form):
        fewer = hub_arrays(form)
        del fewer[name]
        with pytest.raises(InputError):
            load_variables(eomt_weights(form), fewer)


@pytest.mark.parametrize("form", FORMS)
def test_the_authors_names_give_the_same_weights(form):
    assert_same_weights(loaded(form), loaded(form, authors_arrays(hub_arrays(form), form)))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module.network._orig_mod."])
def test_what_wraps_a_network_is_optional(prefix):
    arrays = renamed(authors_arrays(hub_arrays("dinov2"), "dinov2"), (r"^(network\.)?", prefix))
    assert_same_weights(loaded("dinov2"), loaded("dinov2", arrays))


def test_kernels_are_in_keras_layout():
    arrays = hub_arrays("dinov2")
    model = loaded("dinov2", arrays)
    dense = arrays["layers.1.mlp.fc1.weight"]
    np.testing.assert_array_equal(value(model, "block1/fc1/kernel"), dense.T)
    patch = arrays["embeddings.patch_embeddings.projection.weight"]
    assert value(model, "patch_embedding/kernel")[3, 5, 2, 7] == patch[7, 2, 3, 5]
    deconv = arrays["upscale_block.block.1.conv1.weight"]  # [in, out, y, x]
    assert value(model, "upscale2/deconv/kernel")[1, 0, 6, 2] == deconv[2, 6, 1, 0]
    depthwise = arrays["upscale_block.block.0.conv2.weight"]
    assert value(model, "upscale1/depthwise/kernel")[2, 1, 4, 0] == depthwise[4, 0, 2, 1]


def test_half_precision_becomes_single():
    arrays = {name: array.astype(np.float16) for name, array in hub_arrays("dinov3").items()}
    np.testing.assert_array_equal(value(loaded("dinov3", arrays), "queries/table"), arrays["query.weight"].astype("f4"))


def test_two_arrays_for_one_weight_are_refused():
    arrays = hub_arrays("dinov2")
    arrays["q.weight"] = arrays["query.weight"]
    with pytest.raises(InputError, match=r"q\.weight: a second array for queries/table"):
        load_variables(eomt_weights("dinov2"), arrays)


def test_names_that_no_rule_knows_are_named():
    arrays = hub_arrays("dinov2")
    arrays["layers.0.adapter.weight"] = np.zeros(3, "float32")
    model = eomt_weights("dinov2")
    with pytest.raises(InputError, match=r"no place for layers\.0\.adapter\.weight") as error:
        load_variables(model, arrays)
    assert nothing_is_set(model) and "\n" not in str(error.value)


def test_gated_layers_are_named():
    arrays = renamed(hub_arrays("dinov3"), (r"mlp\.up_proj", "mlp.gate_proj"))
    with pytest.raises(InputError, match="mlp.gate_proj.*gated layers.* are not known here"):
        load_variables(eomt_weights("dinov3"), arrays)


# -- files


def test_a_safetensors_file_is_read(tmp_path):
    arrays = hub_arrays("dinov2")
    save_file(arrays, str(tmp_path / "model.safetensors"), metadata={"format": "pt"})
    assert_same_weights(loaded("dinov2"), loaded("dinov2", read_checkpoint(tmp_path / "model.safetensors")))


def test_files_with_an_index_are_read(tmp_path):
    arrays = hub_arrays("dinov2")
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(arrays)}
    for file in set(places.values()):
        save_file({name: array for name, array in arrays.items() if places[name] == file}, str(tmp_path / file))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert_same_weights(loaded("dinov2"), loaded("dinov2", read_checkpoint(index)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"weight_map": {"a": "../other.safetensors"}}, "expected files beside it, found .*other.safetensors"),
        ({"weight_map": {"a": "index.json"}}, "expected files beside it, found .*index.json"),
        ({"weight_map": {"a": "one.safetensors"}}, "one.safetensors has no a"),
        ({"weight_map": {"a": "none.safetensors"}}, "none.safetensors: no such file"),
        ({"weight_map": 3}, "expected JSON with weight_map"),
        ({}, "expected JSON with weight_map"),
    ],
)
def test_an_index_that_says_something_wrong_is_named(tmp_path, content, words):
    save_file({"b": np.zeros(2, "float32")}, str(tmp_path / "one.safetensors"))
    (tmp_path / "index.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        read_checkpoint(tmp_path / "index.json")


@pytest.mark.parametrize("under", ["state_dict", None])
def test_a_file_of_pytorch_is_read(tmp_path, under):
    tensors = {n: tensor_of(a) for n, a in authors_arrays(hub_arrays("dinov3"), "dinov3").items()}
    write_zip(tmp_path / "pytorch_model.bin", {under: tensors, "epoch": 12} if under else tensors)
    assert_same_weights(loaded("dinov3"), loaded("dinov3", read_checkpoint(tmp_path / "pytorch_model.bin")))


def test_a_pickle_that_would_run_something_is_refused(tmp_path):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "model.bin").write_bytes(pickle.dumps({"state_dict": {"q.weight": Malicious()}}))
    with pytest.raises(InputError, match=r"model\.bin: refused"):
        read_checkpoint(tmp_path / "model.bin")
    assert not (tmp_path / "ran").exists()


def test_files_that_hold_no_weights_of_others_are_named(tmp_path):
    save_file({"a": np.zeros(2, "float32")}, str(tmp_path / "ours.safetensors"), metadata={"format": "tfpanoptic"})
    save_file({"a": np.zeros(2, "int64")}, str(tmp_path / "integers.safetensors"))
    whole = (tmp_path / "integers.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-4])
    (tmp_path / "page.bin").write_text("<html>")
    (tmp_path / "empty.bin").write_text("")
    for name, words in (
        ("ours.safetensors", "weights of ours already"),
        ("integers.safetensors", "a: expected one of F64, F32, F16, found I64"),
        ("cut.safetensors", "a damaged safetensors file"),
        ("page.bin", "not a pickle, or a damaged one; expected a checkpoint of EoMT"),
        ("empty.bin", "an empty file; expected a checkpoint of EoMT"),
        ("none.bin", "no such file; expected a checkpoint of EoMT"),
    ):
        with pytest.raises(InputError, match=f"{name}: {words}"):
            read_checkpoint(tmp_path / name)


# -- what else a file says


def test_masked_attention_that_is_left_is_noted():
    arrays, model = authors_arrays(hub_arrays("dinov2"), "dinov2"), eomt_weights("dinov2")
    assert notes(model, arrays) == ()
    arrays["network.attn_mask_probs"] = np.array([0, 0, 0.25], "float32")
    assert load_variables(model, arrays) == ()
    (line,) = notes(model, arrays)
    assert line.startswith("attn_mask_probs: (0, 0, 0.25), expected 0")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mean", "pixel_mean is (123.675, 116.28, 103.53), expected (0.485, "),
        ("std", "pixel_deviation is (123.675, 116.28, 103.53), expected (0.229, "),
    ],
)
def test_a_network_for_other_pixels_is_refused(name, words):
    arrays, model = authors_arrays(hub_arrays("dinov2"), "dinov2"), eomt_weights("dinov2")
    arrays[f"network.encoder.pixel_{name}"] = np.array([123.675, 116.28, 103.53]).reshape(1, 3, 1, 1)
    with pytest.raises(InputError) as error:
        load_variables(model, arrays)
    assert words in str(error.value) and nothing_is_set(model)


def test_settings_that_compute_something_else_are_named():
    model = with_settings(
        eomt_weights("dinov2"), normalization="per_image", query_blocks=2, backbone=SimpleNamespace(positions=(4, 4))
    )
    with pytest.raises(InputError) as error:
        load_variables(model, authors_arrays(hub_arrays("dinov2"), "dinov2"))
    assert "model.normalization: expected 'imagenet' for these weights, found 'per_image'" in str(error.value)
    assert "model.query_blocks: expected 3 for these weights, found 2" in str(error.value)
    assert nothing_is_set(model)


def test_a_model_of_another_architecture_is_named():
    model = eomt_weights("dinov2")
    model.experiment = SimpleNamespace(model=SimpleNamespace(name="upsnet"))
    for load in (load_variables, load_backbone):
        with pytest.raises(InputError, match=r"model\.name: expected 'eomt' .* found 'upsnet'"):
            load(model, hub_arrays("dinov2"))


# -- models of other sizes


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"queries": 7}, "model.queries: expected 5 for these weights, found 7"),
        ({"width": 16}, "model.backbone: expected width 8 and depth 3 for these weights, found width 16 and depth 3"),
        ({"depth": 4}, "model.backbone: expected width 8 and depth 3 for these weights, found width 8 and depth 4"),
    ],
)
def test_a_network_of_another_size_is_told_in_one_line(sizes, message):
    model = eomt_weights("dinov2", **sizes)
    with pytest.raises(InputError) as error:
        load_variables(model, hub_arrays("dinov2"))
    assert str(error.value) == f"weights of another network: {message}" and nothing_is_set(model)


@pytest.mark.parametrize("form", FORMS)
def test_the_other_form_is_told_in_one_line(form):
    (other,) = set(FORMS) - {form}
    with pytest.raises(InputError) as error:
        load_variables(eomt_weights(other), hub_arrays(form))
    assert str(error.value) == (
        f"weights of another network: model.backbone.form: expected '{form}' for these weights, found '{other}'"
    )


def test_class_logits_for_other_categories_are_named_or_left():
    model = eomt_weights("dinov2", classes=9)
    with pytest.raises(InputError) as error:
        load_variables(model, hub_arrays("dinov2"))
    assert "class logits (4 classes, the model has 9); --reset-heads" in str(error.value) and nothing_is_set(model)
    left = load_variables(model, hub_arrays("dinov2"), reset_heads=True)
    assert sorted(left) == ["class_head/bias", "class_head/kernel"]
    assert {w.path for w in model.weights if w.value is None} == set(left)


def test_positions_are_resampled_to_the_models_grid_and_it_is_said():
    model = with_settings(eomt_weights("dinov2", grid=(3, 6)), backbone=SimpleNamespace(positions=(3, 6)))
    arrays = hub_arrays("dinov2")
    load_variables(model, arrays)
    table = arrays["embeddings.position_embeddings.weight"].reshape(4, 4, WIDTH)
    expected = resampled_positions(table, (3, 6)).reshape(18, WIDTH)
    np.testing.assert_allclose(value(model, "tokens/positions"), expected, atol=1e-6)
    assert notes(model, arrays) == ("positions: resampled from 4 x 4 to 3 x 6 patches",)


def test_positions_of_no_square_grid_fit_only_the_same_number():
    arrays = hub_arrays("dinov2", grid=(2, 6))
    model = with_settings(eomt_weights("dinov2", grid=(2, 6)), backbone=SimpleNamespace(positions=(2, 6)))
    load_variables(model, arrays)
    assert notes(model, arrays) == ("positions: the file's 12 are taken as 2 x 6 patches",)
    with pytest.raises(InputError, match="positions: found 12, of no square grid; expected those of 4 x 4 patches"):
        load_variables(eomt_weights("dinov2"), arrays)


# -- differences from DINOv3


def differences():
    """A whole EoMT near a DINOv3, this DINOv3 and the difference, in the names of `transformers`."""
    base = hub_arrays("dinov3")
    own = backbone_of(base)
    whole = {name: array + 0.1 * recipe.noise(f"{name} moved", array.shape) for name, array in base.items()}
    return whole, base, {name: array - base[name] if name in own else array for name, array in whole.items()}


@pytest.mark.parametrize("of_backbone", [hub_backbone, meta_backbone])
@pytest.mark.parametrize("of_file", [lambda arrays, form: arrays, authors_arrays])
def test_differences_are_added_to_dinov3(of_backbone, of_file):
    whole, base, difference = differences()
    merged = add_backbone(of_file(difference, "dinov3"), of_backbone(base, "dinov3"))
    model = loaded("dinov3", merged)
    for ours, expected in zip(model.weights, loaded("dinov3", whole).weights, strict=True):
        np.testing.assert_allclose(ours.value, expected.value, atol=1e-6, err_msg=ours.path)


def test_buffers_of_differences_are_kept():
    _, base, difference = differences()
    variables = authors_arrays(difference, "dinov3")
    variables["network.attn_mask_probs"] = np.array([1, 0, 0], "float32")
    merged = add_backbone(variables, hub_backbone(base, "dinov3"))
    assert notes(eomt_weights("dinov3"), merged)[0].startswith("attn_mask_probs: (1, 0, 0)")


def test_differences_alone_are_refused_with_what_to_do():
    _, _, difference = differences()
    model = eomt_weights("dinov3")
    with pytest.raises(InputError) as error:
        load_variables(model, authors_arrays(difference, "dinov3"))
    message = str(error.value)
    assert "differences from DINOv3" in message and "--backbone FILE" in message and "\n" not in message
    assert "huggingface.co/facebook/dinov3-vit" in message and "dinov3-downloads" in message
    assert nothing_is_set(model)


def test_the_dinov3_that_is_needed_is_named_by_its_size():
    with pytest.raises(InputError, match="dinov3-vits16-pretrain-lvd1689m"):
        load_variables(
            eomt_weights("dinov3"),
            {
                "embeddings.cls_token": np.zeros((1, 1, 384)),
                "query.weight": np.zeros((200, 384)),
                "layers.0.norm1.weight": np.full(384, -0.02),
            },
        )


@pytest.mark.parametrize("form", FORMS)
def test_whole_weights_with_small_scales_are_no_differences(form):
    """Scales of a trained network may be far below 1; there are no differences from DINOv2, and sums are whole."""
    whole, base, _ = differences()
    scaled = {name: 0.05 * abs(array) if "norm" in name else array for name, array in hub_arrays("dinov2").items()}
    if form == "dinov3":
        small = {name: 0.05 * abs(array) if "norm" in name else array for name, array in whole.items()}
        moved = {name: small[name] - base[name] if name in backbone_of(base) else small[name] for name in small}
        scaled = add_backbone(moved, hub_backbone(base, form))
    loaded(form, scaled)


def test_whole_weights_get_no_backbone_added():
    whole, base, _ = differences()
    with pytest.raises(InputError, match="found whole weights; leave --backbone out"):
        add_backbone(whole, hub_backbone(base, "dinov3"))
    with pytest.raises(InputError, match="an EoMT with DINOv2, whose weights are whole; leave --backbone out"):
        add_backbone(hub_arrays("dinov2"), hub_backbone(base, "dinov3"))


def test_another_backbone_is_refused():
    whole, base, difference = differences()
    dinov2 = hub_backbone(hub_arrays("dinov2"), "dinov2")
    wider = hub_backbone(hub_arrays("dinov3", width=16), "dinov3")
    less = {name: array for name, array in hub_backbone(base, "dinov3").items() if name != "norm.bias"}
    for backbone, words in (
        (dinov2, "expected DINOv3 alone, .* found DINOv2"),
        (whole, "expected DINOv3 alone, .* found an EoMT"),
        (wider, "expected DINOv3 of width 8 and depth 3, found width 16 and depth 3"),
        (less, "expected DINOv3 with the same arrays, these are not: final_norm/beta"),
    ):
        with pytest.raises(InputError, match=f"--backbone: {words}"):
            add_backbone(difference, backbone)


def test_files_in_the_other_order_are_told():
    _, base, difference = differences()
    with pytest.raises(InputError, match="found DINOv3; give the two files in the other order"):
        add_backbone(hub_backbone(base, "dinov3"), difference)


def test_the_licence_of_dinov3_is_told():
    _, base, difference = differences()
    assert licence(hub_arrays("dinov3")).startswith("DINOv3 License (Meta)")
    assert licence(add_backbone(difference, hub_backbone(base, "dinov3"))).startswith("DINOv3 License (Meta)")
    assert "DINOv2: Apache-2.0" in licence(hub_backbone(hub_arrays("dinov2"), "dinov2"))


# -- backbones to train from


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("of_backbone", [hub_backbone, meta_backbone])
def test_a_backbone_is_set_and_all_else_left(form, of_backbone):
    arrays = hub_arrays(form)
    model, whole = eomt_weights(form), loaded(form, arrays)
    left = load_backbone(model, of_backbone(arrays, form))
    assert {w.path for w in model.weights if w.value is None} == set(left)
    assert {path.split("/")[0] for path in left} == {"queries", "class_head", "mask_head", "upscale1", "upscale2"}
    for ours, expected in zip(model.weights, whole.weights, strict=True):
        if ours.value is not None:
            np.testing.assert_array_equal(ours.value, expected.value, ours.path)


def published_dinov2(of_backbone):
    """A backbone with a kernel of 14 x 14, positions of 6 x 6 and one of the class token before them."""
    arrays = of_backbone(hub_arrays("dinov2", grid=(6, 6)), "dinov2")
    (kernel,) = (name for name in arrays if "patch_embed" in name and name.endswith("weight"))
    (positions,) = (name for name in arrays if "pos" in name)
    arrays[kernel] = recipe.noise("kernel", (WIDTH, 3, 14, 14))
    arrays[positions] = np.concatenate([recipe.noise("class position", (1, WIDTH)), arrays[positions]])[None]
    return arrays, kernel, positions


@pytest.mark.parametrize("of_backbone", [hub_backbone, meta_backbone])
def test_dinov2_is_resampled_and_the_class_tokens_position_added_to_it(of_backbone):
    arrays, kernel, positions = published_dinov2(of_backbone)
    model = eomt_weights("dinov2")
    load_backbone(model, arrays)
    token = arrays[next(name for name in arrays if name.endswith("cls_token"))]
    np.testing.assert_allclose(value(model, "tokens/class_token"), token + recipe.noise("class position", (1, WIDTH)))
    table = resampled_positions(arrays[positions][0, 1:].reshape(6, 6, WIDTH), (4, 4))
    np.testing.assert_allclose(value(model, "tokens/positions"), table.reshape(16, WIDTH), atol=1e-6)
    resampled = resampled_kernel(arrays[kernel].transpose(2, 3, 1, 0), 16)
    np.testing.assert_allclose(value(model, "patch_embedding/kernel"), resampled, atol=1e-6)
    assert notes(model, arrays) == (
        "positions: resampled from 6 x 6 to 4 x 4 patches",
        "patch kernel: resampled from 14 x 14 to 16 x 16 pixels",
    )


def test_timms_dinov2_has_no_position_of_the_class_token():
    arrays = renamed(meta_backbone(hub_arrays("dinov2"), "dinov2"), ("^register_tokens", "reg_token"))
    arrays["pos_embed"] = arrays["pos_embed"][None]
    model = eomt_weights("dinov2")
    load_backbone(model, arrays)
    np.testing.assert_array_equal(value(model, "tokens/class_token"), arrays["cls_token"])


def test_a_backbone_is_refused_unless_it_is_asked_for():
    model = eomt_weights("dinov2")
    with pytest.raises(InputError, match="--backbone-only"):
        load_variables(model, hub_backbone(hub_arrays("dinov2"), "dinov2"))
    with pytest.raises(InputError, match="--backbone-only: expected .* found all of an EoMT"):
        load_backbone(model, hub_arrays("dinov2"))
    assert nothing_is_set(model)


def test_a_backbone_without_registers_is_named():
    arrays = meta_backbone(hub_arrays("dinov2"), "dinov2")
    del arrays["register_tokens"]
    with pytest.raises(InputError, match="found one without registers; .*reg4"):
        load_backbone(eomt_weights("dinov2"), arrays)


def test_a_backbone_of_another_size_is_told_in_one_line():
    with pytest.raises(InputError, match="^weights of another network: model.backbone: expected width 8 and depth 3"):
        load_backbone(eomt_weights("dinov3", width=16), meta_backbone(hub_arrays("dinov3"), "dinov3"))


@pytest.mark.parametrize("load", [load_variables, load_backbone])
@pytest.mark.parametrize(
    ("name", "shape", "found"),  # the last in Keras' layout
    [
        ("embeddings.cls_token", (), "tokens/class_token: expected an array of 3 axes with numbers, found shape ()"),
        ("embeddings.position_embeddings.weight", (), "tokens/positions: expected an array of 2 axes"),
        (
            "embeddings.patch_embeddings.projection.weight",
            (8, 3, 0, 0),
            "4 axes with numbers, found shape (0, 0, 3, 8)",
        ),
        ("embeddings.patch_embeddings.projection.weight", (8, 768), "4 axes with numbers, found shape (768, 8)"),
        ("query.weight", (8,), "queries/table: expected an array of 2 axes with numbers, found shape (8,)"),
    ],
)
def test_arrays_of_other_axes_are_named(load, name, shape, found):
    model = eomt_weights("dinov2")
    with pytest.raises(InputError, match=re.escape(found)):
        load(model, hub_arrays("dinov2") | {name: np.ones(shape, "float32")})
    assert nothing_is_set(model)


def test_numbers_that_are_not_finite_are_named():
    arrays = hub_arrays("dinov2")
    arrays["embeddings.position_embeddings.weight"][3] = np.nan
    model = eomt_weights("dinov2")
    with pytest.raises(InputError, match="numbers that are not finite in tokens/positions"):
        load_variables(model, arrays)
    assert nothing_is_set(model)


def test_quite_another_network_is_told_by_its_names():
    for load in (load_variables, load_backbone):
        with pytest.raises(InputError, match="0 of the checkpoint's 1 names fit"):
            load(eomt_weights("dinov2"), {"conv1.weight": np.zeros((2, 2, 1, 1))})
