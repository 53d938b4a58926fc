import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.convert.torch_files import tensor_of, write_legacy, write_zip
from tests.convert.weight import Weight
from tfpanoptic.convert.detectron2 import detectron2_name, load_backbone, load_variables, read_checkpoint
from tfpanoptic.errors import InputError

FIXTURE = Path(__file__).parents[1] / "fixtures" / "detectron2" / "panoptic_fpn_r50" / "variables.json"
BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}
HEADS = ("box_head/class_logits", "box_head/deltas", "mask_head/logits", "semantic_fpn/logits")


def panoptic_fpn(width=64, channels=256, dense=1024, things=80, stuff=53):
    """The weights of our Panoptic FPN with ResNet-50, by path."""
    shapes = {}

    def norm(layer, kind, size):
        names = ("gamma", "beta", "moving_mean", "moving_variance") if kind == "batch_norm" else ("gamma", "beta")
        shapes.update({f"{layer}/{kind}/{name}": (size,) for name in names})

    def conv_norm(layer, kind, *shape):
        shapes[f"{layer}/conv/kernel"] = shape
        norm(layer, kind, shape[-1])

    def with_bias(layer, *shape):
        shapes[f"{layer}/kernel"], shapes[f"{layer}/bias"] = shape, (shape[-1],)

    conv_norm("stem", "batch_norm", 7, 7, 3, width)
    inputs = width
    for stage, blocks in BLOCKS.items():
        middle = width * 2 ** (stage - 2)
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            if block == 1:
                conv_norm(f"{name}_shortcut", "batch_norm", 1, 1, inputs, 4 * middle)
            conv_norm(f"{name}_conv1", "batch_norm", 1, 1, inputs, middle)
            conv_norm(f"{name}_conv2", "batch_norm", 3, 3, middle, middle)
            conv_norm(f"{name}_conv3", "batch_norm", 1, 1, middle, 4 * middle)
            inputs = 4 * middle
        with_bias(f"fpn/lateral{stage}", 1, 1, inputs, channels)
        with_bias(f"fpn/output{stage}", 3, 3, channels, channels)
    with_bias("rpn/conv", 3, 3, channels, channels)
    with_bias("rpn/objectness", 1, 1, channels, 3)
    with_bias("rpn/deltas", 1, 1, channels, 12)
    with_bias("box_head/fc1", 7 * 7 * channels, dense)
    with_bias("box_head/fc2", dense, dense)
    with_bias("box_head/class_logits", dense, things + 1)
    with_bias("box_head/deltas", dense, 4 * things)
    for i in range(1, 5):
        with_bias(f"mask_head/conv{i}", 3, 3, channels, channels)
    with_bias("mask_head/deconv", 2, 2, channels, channels)
    with_bias("mask_head/logits", 1, 1, channels, things)
    for level, convolutions in {2: 1, 3: 1, 4: 2, 5: 3}.items():
        for i in range(1, convolutions + 1):
            first = channels if i == 1 else channels // 2
            conv_norm(f"semantic_fpn/p{level}_conv{i}", "group_norm", 3, 3, first, channels // 2)
    with_bias("semantic_fpn/logits", 1, 1, channels // 2, stuff + 1)
    return SimpleNamespace(weights=[Weight(path, shape) for path, shape in shapes.items()])


def narrow(things=2, stuff=3):
    return panoptic_fpn(width=1, channels=2, dense=5, things=things, stuff=stuff)


def original_shape(shape):
    """Shape in PyTorch's layout; of the transposed convolution both channel axes are equally long."""
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]


def variables_of(model, seed=0):
    """Random arrays under Detectron2's names."""
    rng = np.random.default_rng(seed)
    return {detectron2_name(w.path): rng.normal(size=original_shape(w.shape)).astype("float32") for w in model.weights}


def value(model, path):
    return next(w.value for w in model.weights if w.path == path)


def nothing_is_set(model):
    return all(w.value is None for w in model.weights)


def test_every_variable_of_the_original_is_used_once_and_every_weight_set_once():
    described = json.loads(FIXTURE.read_text())["variables"]
    model = panoptic_fpn()
    names = [detectron2_name(weight.path) for weight in model.weights]
    assert len(names) == len(set(names)) == len(described) == 330
    assert set(names) == {variable["name"] for variable in described}
    arrays = {variable["name"]: np.zeros(variable["shape"], "float32") for variable in described}
    assert load_variables(model, arrays) == ()
    assert all(weight.value is not None for weight in model.weights)


@pytest.mark.parametrize(
    "path, name",
    [
        ("stem/conv/kernel", "backbone.bottom_up.stem.conv1.weight"),
        ("stage3_block4_conv2/batch_norm/moving_variance", "backbone.bottom_up.res3.3.conv2.norm.running_var"),
        ("semantic_fpn/p5_conv3/group_norm/gamma", "sem_seg_head.p5.4.norm.weight"),
        ("another/kernel", "another/kernel"),
        ("rpn/conv/another", "rpn/conv/another"),
    ],
)
def test_a_path_has_the_originals_name_or_stays_as_it_is(path, name):
    assert detectron2_name(path) == name


def loaded(model, **arrays):
    """The model with random arrays, but these by path of ours."""
    variables = variables_of(model)
    variables.update({detectron2_name(path): np.asarray(array, "float32") for path, array in arrays.items()})
    load_variables(model, variables)
    return model


def test_the_stem_takes_red_first():
    kernel = np.zeros((1, 3, 7, 7))
    kernel[0, 0, 1, 2], kernel[0, 2, 1, 2] = 1, 3  # blue, red
    model = loaded(narrow(), **{"stem/conv/kernel": kernel})
    np.testing.assert_array_equal(value(model, "stem/conv/kernel")[1, 2, :, 0], [3, 0, 1])


def test_other_convolutions_keep_the_order_of_their_inputs():
    kernel = np.arange(2 * 2 * 9).reshape(2, 2, 3, 3)
    model = loaded(narrow(), **{"rpn/conv/kernel": kernel})
    for out, into, y, x in np.ndindex(2, 2, 3, 3):
        assert value(model, "rpn/conv/kernel")[y, x, into, out] == kernel[out, into, y, x]


# Rows are outputs: dx, dy, dw, dh of two anchors or classes, then dy, dx, dh, dw.
THEIR_DELTAS, OUR_DELTAS = [10, 11, 12, 13, 20, 21, 22, 23], [11, 10, 13, 12, 21, 20, 23, 22]


def test_box_deltas_are_y_first_in_every_class():
    kernel = np.array(THEIR_DELTAS)[:, None] + np.array([0, 0.25, 0.5, 0.75, 0.875])
    model = loaded(narrow(things=2), **{"box_head/deltas/kernel": kernel, "box_head/deltas/bias": THEIR_DELTAS})
    np.testing.assert_array_equal(value(model, "box_head/deltas/bias"), OUR_DELTAS)
    np.testing.assert_array_equal(value(model, "box_head/deltas/kernel")[2], np.array(OUR_DELTAS) + 0.5)


def test_anchor_deltas_are_y_first_in_every_anchor():
    bias = [*THEIR_DELTAS, 30, 31, 32, 33]
    kernel = (np.array(bias)[:, None] + np.array([0, 0.5])).reshape(12, 2, 1, 1)
    model = loaded(narrow(), **{"rpn/deltas/kernel": kernel, "rpn/deltas/bias": bias})
    expected = [*OUR_DELTAS, 31, 30, 33, 32]
    np.testing.assert_array_equal(value(model, "rpn/deltas/bias"), expected)
    np.testing.assert_array_equal(value(model, "rpn/deltas/kernel")[0, 0, 1], np.array(expected) + 0.5)


def test_the_first_dense_layer_takes_features_with_the_channels_last():
    kernel = np.random.default_rng(0).normal(size=(5, 2 * 7 * 7)).astype("float32")
    features = np.random.default_rng(1).normal(size=(2, 7, 7)).astype("float32")  # channels first
    model = loaded(narrow(), **{"box_head/fc1/kernel": kernel})
    ours = features.transpose(1, 2, 0).ravel() @ value(model, "box_head/fc1/kernel")
    np.testing.assert_allclose(ours, kernel @ features.ravel(), atol=1e-5)


def test_other_dense_layers_are_transposed():
    model = loaded(narrow(), **{"box_head/fc2/kernel": np.arange(25).reshape(5, 5)})
    np.testing.assert_array_equal(value(model, "box_head/fc2/kernel")[:, 1], [5, 6, 7, 8, 9])


def test_the_transposed_convolution_spreads_a_cell_as_the_originals():
    # The kernel of ConvTranspose2d is [in, out, y, x]; a lone cell with stride 2 becomes its 2 x 2 cells.
    kernel = np.arange(16.0).reshape(2, 2, 2, 2)
    model = loaded(narrow(), **{"mask_head/deconv/kernel": kernel})
    layer = keras.layers.Conv2DTranspose(2, 2, strides=2, use_bias=False)
    layer.build((1, 1, 1, 2))
    layer.kernel.assign(value(model, "mask_head/deconv/kernel"))
    cell = np.array([1.0, 10.0], "float32")
    expected = np.einsum("i,ioyx->yxo", cell, kernel)
    np.testing.assert_allclose(layer(cell.reshape(1, 1, 1, 2))[0], expected)


def test_normalisations_keep_their_arrays():
    path = "stage4_block6_conv3/batch_norm"
    arrays = {f"{path}/{name}": [i] * 16 for i, name in enumerate(("gamma", "beta", "moving_mean", "moving_variance"))}
    model = loaded(narrow(), **arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(value(model, name), array)


def test_half_and_double_precision_become_single():
    model = narrow()
    variables = variables_of(model)
    for i, name in enumerate(variables):
        variables[name] = variables[name].astype((np.float16, np.float64)[i % 2])
    load_variables(model, variables)
    name = "backbone.fpn_output2.bias"
    np.testing.assert_array_equal(value(model, "fpn/output2/bias"), variables[name].astype("float32"))


def test_what_is_no_weight_is_passed_over():
    others = {
        "pixel_mean": np.array([103.53, 116.28, 123.675], "float32").reshape(3, 1, 1),
        "pixel_std": np.ones((3, 1, 1), "float32"),
        "proposal_generator.anchor_generator.cell_anchors.0": np.zeros((3, 4), "float32"),
        "backbone.bottom_up.stem.conv1.norm.num_batches_tracked": np.array(7),
    }
    model = narrow()
    load_variables(model, {**variables_of(model), **others})
    assert not nothing_is_set(model)


def test_the_prefix_of_parallel_training_is_optional():
    model = narrow()
    variables = variables_of(model)
    load_variables(model, {f"module.{name}": array for name, array in variables.items()})
    np.testing.assert_array_equal(value(model, "fpn/output2/bias"), variables["backbone.fpn_output2.bias"])


@pytest.mark.parametrize(
    "name, values, words",
    [
        ("pixel_mean", [123.675, 116.28, 103.53], "pixel_mean is (123.675, 116.28, 103.53), expected (103.53, "),
        ("pixel_std", [57.375, 57.12, 58.395], "pixel_std is (57.375, 57.12, 58.395), expected (1, 1, 1)"),
        ("pixel_mean", [127.5], "pixel_mean is (127.5), expected"),
    ],
)
def test_a_network_for_other_pixels_is_refused(name, values, words):
    model = narrow()
    array = np.array(values, "float32").reshape(-1, 1, 1)
    with pytest.raises(InputError) as error:
        load_variables(model, {**variables_of(model), name: array})
    assert "names fit" not in str(error.value)
    assert words in str(error.value) and nothing_is_set(model)


def test_misfits_are_named_and_nothing_is_set():
    model = narrow()
    variables = variables_of(model)
    variables["backbone.bottom_up.res9.0.conv1.weight"] = np.zeros((1, 1, 1, 1))
    del variables["roi_heads.box_head.fc2.bias"]
    variables["backbone.fpn_lateral3.weight"] = np.zeros((2, 9, 1, 1))
    variables["proposal_generator.rpn_head.anchor_deltas.bias"] = np.zeros(15)
    variables["roi_heads.box_head.fc1.weight"] = np.zeros((5, 2 * 6 * 6))
    with pytest.raises(InputError) as error:
        load_variables(model, variables)
    message = str(error.value)
    assert "weights of Detectron2's Panoptic FPN" in message
    # One is missing and one has no place.
    assert "329 of the checkpoint's 330 names fit, the model has 330" in message
    assert "no place for backbone.bottom_up.res9.0.conv1.weight" in message
    assert "no value for roi_heads.box_head.fc2.bias" in message
    assert "backbone.fpn_lateral3.weight (found (1, 1, 9, 2), expected (1, 1, 8, 2))" in message
    assert "proposal_generator.rpn_head.anchor_deltas.bias (found (15,), expected (12,))" in message
    assert "roi_heads.box_head.fc1.weight (found (72, 5), expected (98, 5))" in message
    assert "\n" not in message and "--reset-heads" not in message
    assert nothing_is_set(model)


def model_with(model, **settings):
    """The model as of a configuration of Panoptic FPN with this much of it."""
    model.experiment = SimpleNamespace(model=SimpleNamespace(name="panoptic_fpn", **settings))
    return model


def test_weights_of_another_network_are_told_by_their_names_whatever_the_settings():
    model = model_with(narrow(), normalization="symmetric")
    others = {f"layer{i}.0.conv.weight": np.zeros((2, 2, 1, 1)) for i in range(9)}
    others["backbone.fpn_output2.bias"] = np.zeros(2)
    others["pixel_mean"] = np.array([123.675, 116.28, 103.53])
    with pytest.raises(InputError) as error:
        load_variables(model, others)
    assert str(error.value) == (
        "expected weights of Detectron2's Panoptic FPN that fit the model: "
        "1 of the checkpoint's 10 names fit, the model has 330; "
        "no place for layer0.0.conv.weight, layer1.0.conv.weight, layer2.0.conv.weight and 6 more; "
        "no value for backbone.bottom_up.res2.0.conv1.norm.bias, backbone.bottom_up.res2.0.conv1.norm.running_mean, "
        "backbone.bottom_up.res2.0.conv1.norm.running_var and 326 more"
    )
    assert nothing_is_set(model)


def test_settings_are_told_with_the_names_where_most_of_these_fit():
    """A norm of another kind has other names; its setting says it shortest."""
    model = model_with(narrow(), norm=SimpleNamespace(kind="group"))
    model.weights = [weight for weight in model.weights if "/moving_" not in weight.path]
    with pytest.raises(InputError) as error:
        load_variables(model, variables_of(narrow()))
    # 330 less mean and variance of 53 normalisations.
    assert "224 of the checkpoint's 330 names fit, the model has 224" in str(error.value)
    assert "model.norm.kind: expected 'frozen' for these weights, found 'group'" in str(error.value)


def test_a_model_of_another_architecture_is_named():
    model = narrow()
    model.experiment = SimpleNamespace(model=SimpleNamespace(name="upsnet"))
    with pytest.raises(InputError, match=r"model\.name: expected 'panoptic_fpn' .*Detectron2.*, found 'upsnet'"):
        load_variables(model, variables_of(model))
    with pytest.raises(InputError, match="--backbone-only"):
        load_variables(model, caffe2_backbone(model))


def test_heads_for_other_categories_are_named_and_nothing_is_set():
    model = narrow(things=2, stuff=3)
    with pytest.raises(InputError) as error:
        load_variables(model, variables_of(narrow(things=80, stuff=53)))
    assert str(error.value) == (
        "expected weights of Detectron2's Panoptic FPN that fit the model: heads for other categories: "
        "class logits (80 classes, the model has 2), box deltas (80 classes, the model has 2), "
        "mask logits (80 classes, the model has 2), semantic logits (54 channels, the model has 4); "
        "--reset-heads leaves the heads of categories as initialised"
    )
    assert nothing_is_set(model)


def test_a_head_of_another_width_is_another_model():
    model = narrow()
    variables = variables_of(model)
    variables["sem_seg_head.predictor.weight"] = np.zeros((9, 7, 1, 1))
    with pytest.raises(InputError) as error:
        load_variables(model, variables)
    assert "sem_seg_head.predictor.weight (found (1, 1, 7, 9), expected (1, 1, 1, 4))" in str(error.value)
    assert "--reset-heads" not in str(error.value)


@pytest.mark.parametrize("things", [2, 80])
def test_heads_that_are_reset_stay_as_they_are_and_all_others_are_set(things):
    model = narrow(things=2)
    left = load_variables(model, variables_of(narrow(things=things)), reset_heads=True)
    assert sorted(left) == sorted(f"{head}/{leaf}" for head in HEADS for leaf in ("kernel", "bias"))
    assert {w.path for w in model.weights if w.value is None} == set(left)


def test_a_checkpoint_without_heads_fits_where_they_are_reset():
    model = narrow()
    variables = variables_of(model)
    for head in HEADS:
        del variables[detectron2_name(f"{head}/kernel")], variables[detectron2_name(f"{head}/bias")]
    assert len(load_variables(model, variables, reset_heads=True)) == 8


def test_only_these_heads_can_be_reset():
    model = narrow()
    variables = variables_of(model)
    variables["proposal_generator.rpn_head.objectness_logits.bias"] = np.zeros(5)
    with pytest.raises(InputError, match="objectness_logits"):
        load_variables(model, variables, reset_heads=True)
    assert nothing_is_set(model)


def caffe2_backbone(model):
    """Random arrays of an ImageNet classifier in Caffe2's names for the backbone of our model."""
    branches = {"shortcut": "1", "conv1": "2a", "conv2": "2b", "conv3": "2c"}
    leaves = {"conv/kernel": "w", "batch_norm/gamma": "bn_s", "batch_norm/beta": "bn_b"}
    rng = np.random.default_rng(0)
    arrays = {"fc1000_w": np.zeros((1000, 32)), "fc1000_b": np.zeros(1000), "conv1_b": np.ones(1)}
    for weight in model.weights:
        layer, _, leaf = weight.path.partition("/")
        if leaf not in leaves or not layer.startswith("st"):
            continue
        if layer == "stem":
            name = "conv1_w" if leaf == "conv/kernel" else f"res_conv1_{leaves[leaf]}"
        else:
            stage, block, branch = layer.split("_")
            name = f"res{stage[5:]}_{int(block[5:]) - 1}_branch{branches[branch]}_{leaves[leaf]}"
        arrays[name] = rng.normal(size=original_shape(weight.shape)).astype("float32")
    return arrays


def test_a_backbone_of_imagenet_is_set_and_all_else_left():
    model = narrow()
    arrays = caffe2_backbone(model)
    left = load_backbone(model, arrays)
    assert {w.path for w in model.weights if w.value is None} == set(left)
    assert {path.split("/")[0] for path in left} == {"fpn", "rpn", "box_head", "mask_head", "semantic_fpn"}
    np.testing.assert_array_equal(value(model, "stem/conv/kernel"), arrays["conv1_w"].transpose(2, 3, 1, 0)[:, :, ::-1])
    block = "stage4_block6_conv2"
    np.testing.assert_array_equal(
        value(model, f"{block}/conv/kernel"), arrays["res4_5_branch2b_w"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(value(model, f"{block}/batch_norm/gamma"), arrays["res4_5_branch2b_bn_s"])
    np.testing.assert_array_equal(value(model, f"{block}/batch_norm/beta"), arrays["res4_5_branch2b_bn_b"])


def test_the_normalisation_of_an_imagenet_backbone_is_its_scale_and_offset():
    model = narrow()
    load_backbone(model, caffe2_backbone(model))
    norm = "stem/batch_norm"
    assert not value(model, f"{norm}/moving_mean").any()
    np.testing.assert_allclose(value(model, f"{norm}/moving_variance") + 1e-5, 1, rtol=1e-7)


def test_a_backbone_is_refused_unless_it_is_asked_for():
    model = narrow()
    with pytest.raises(InputError, match="--backbone-only"):
        load_variables(model, caffe2_backbone(model))
    with pytest.raises(InputError, match="--backbone-only: expected .* such as conv1_w; found backbone"):
        load_backbone(model, variables_of(model))
    assert nothing_is_set(model)


def test_a_backbone_of_another_depth_is_refused():
    model = narrow()
    arrays = caffe2_backbone(model)
    arrays["res4_6_branch2a_w"] = arrays["res4_5_branch2a_w"]
    with pytest.raises(InputError, match=r"no place for backbone\.bottom_up\.res4\.6\.conv1\.weight"):
        load_backbone(model, arrays)
    assert nothing_is_set(model)


ARRAYS = {"a.weight": np.array([[1.5, 2], [3, 4]], "f4"), "a.bias": np.array([0.5, -1], "f2")}


def test_a_file_of_the_model_zoo_is_read(tmp_path):
    content = {"model": ARRAYS, "__author__": "Detectron2 Model Zoo"}
    (tmp_path / "model_final.pkl").write_bytes(pickle.dumps(content))
    found = read_checkpoint(tmp_path / "model_final.pkl")
    assert found.keys() == ARRAYS.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, ARRAYS[name])


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize("alone", [False, True])
def test_files_of_pytorch_are_read(write, alone, tmp_path):
    tensors = {"a.weight": tensor_of(ARRAYS["a.weight"]), "a.bias": tensor_of(ARRAYS["a.bias"], "Half")}
    write(tmp_path / "model.pth", tensors if alone else {"model": tensors, "iteration": 3})
    found = read_checkpoint(str(tmp_path / "model.pth"))
    assert found.keys() == ARRAYS.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_a_checkpoint_is_read_and_loaded(tmp_path):
    model = narrow()
    variables = variables_of(model)
    write_zip(tmp_path / "model.pth", {"model": {name: tensor_of(array) for name, array in variables.items()}})
    load_variables(model, read_checkpoint(tmp_path / "model.pth"))
    np.testing.assert_array_equal(value(model, "fpn/output2/bias"), variables["backbone.fpn_output2.bias"])


ARRAYS_ALONE = "expected nothing but arrays by name, under model, under blobs or by themselves"


@pytest.mark.parametrize(
    "content, words",
    [
        ([1, 2], "expected arrays by name, found list"),
        ({}, "expected arrays by name, found an empty dict"),
        ({"model": 3}, "expected arrays by name, found int"),
        ({"epoch": 3, "state_dict": ARRAYS}, f"{ARRAYS_ALONE}; found int under 'epoch'"),
        ({"state_dict": ARRAYS}, f"{ARRAYS_ALONE}; found dict under 'state_dict'"),
        ({"model": {1: ARRAYS["a.bias"]}}, "expected names of arrays, found int"),
    ],
)
def test_another_content_is_refused(content, words, tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError) as error:
        read_checkpoint(tmp_path / "x.pkl")
    assert str(error.value) == f"{tmp_path / 'x.pkl'}: {words}"


def test_a_tensor_that_cannot_be_made_is_named(tmp_path):
    tensor = tensor_of([1, 2])
    tensor.arguments = (tensor.arguments[0], 1, *tensor.arguments[2:])
    write_zip(tmp_path / "x.pth", {"model": {"a.weight": tensor}})
    with pytest.raises(InputError, match=r"x\.pth: a\.weight: tensor of shape \(2,\) beyond its storage of 2"):
        read_checkpoint(tmp_path / "x.pth")


def broken_files(folder):
    """File -> what the refusal says of it."""
    (folder / "folder").mkdir()
    (folder / "text.pkl").write_text("weights")
    (folder / "text.pth").write_text("hello\n")
    for name in ("empty.pkl", "empty.pth"):
        (folder / name).touch()
    (folder / "cut.pkl").write_bytes(pickle.dumps(ARRAYS)[:-20])
    write_legacy(folder / "legacy.pth", {"a": tensor_of([1.0])})
    (folder / "cut_legacy.pth").write_bytes((folder / "legacy.pth").read_bytes()[:60])
    write_zip(folder / "whole.pth", {"a": tensor_of([1.0])})
    (folder / "cut.pth").write_bytes((folder / "whole.pth").read_bytes()[:-40])
    return {
        "none.pkl": "no such file",
        "folder": "a folder",
        "empty.pkl": "an empty file",
        "empty.pth": "an empty file",
        "text.pkl": "not a pickle, or a damaged one",
        "text.pth": "not a pickle, or a damaged one",
        "cut.pkl": "a pickle that is cut off",
        "cut_legacy.pth": "a pickle that is cut off",
        "cut.pth": "a zip file that is cut off or damaged",
    }


def test_a_file_that_is_no_checkpoint_is_told_in_one_line_with_what_was_expected(tmp_path):
    for name, words in broken_files(tmp_path).items():
        with pytest.raises(InputError) as error:
            read_checkpoint(tmp_path / name)
        expected = "expected a checkpoint of Detectron2: a pickle, .pkl, or a file of PyTorch, .pth"
        assert str(error.value) == f"{tmp_path / name}: {words}; {expected}"
