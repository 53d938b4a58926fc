import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.convert.deeplab2 import SUFFIX, deeplab2_name, load_variables, read_checkpoint
from tfpanoptic.errors import InputError
from tfpanoptic.models.panoptic_deeplab import PanopticDeepLabConfig, build
from tfpanoptic.ops.center_offset import enlarge_offset
from tfpanoptic.ops.resize import resize_bilinear

FIXTURES = Path(__file__).parents[1] / "fixtures" / "deeplab2"
RESNET50_COCO = ({"backbone": {"name": "resnet50"}, "void_channel": True}, 133)
MOBILENET_CITYSCAPES = (
    {
        "backbone": {"name": "mobilenet_v3_large", "output_stride": 16},
        "aspp_rates": [6, 12, 18],
        "norm": {"epsilon": 1e-5},
    },
    19,
)
AXIAL_CITYSCAPES = ({"backbone": {"name": "axial_deeplab_s", "output_stride": 16}, "aspp_rates": []}, 19)
CASES = {
    "resnet50_os32_coco": RESNET50_COCO,
    "resnet50_os32_coco_even": RESNET50_COCO,
    "mobilenet_v3_large_os16_cityscapes": MOBILENET_CITYSCAPES,
    "axial_deeplab_s_cityscapes": AXIAL_CITYSCAPES,
}
NARROW = {
    "backbone": {"name": "resnet50", "width_multiplier": 0.0625},
    "aspp_rates": [1],
    **{
        branch: {
            "aspp_channels": 8,
            "channels": 8,
            "head_channels": 8,
            "skips": [{"endpoint": "res2", "channels": 4}],
        }
        for branch in ("semantic", "instance")
    },
}


def seeded_array(name, shape):
    """The reference's own recipe, from the file that came with the fixtures."""
    spec = importlib.util.spec_from_file_location("seeded_weights", FIXTURES / "seeded_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.seeded_array(name, shape)


def network(config, categories):
    entries = (Category(i, f"category{i}", True, (0, 0, 0), i) for i in range(1, categories + 1))
    return build(PanopticDeepLabConfig.model_validate(config), CategoryTable(tuple(entries))).infer


def narrow_network():
    return network(NARROW, 2)


def variables_of(model, seed=0):
    """Random arrays under DeepLab2's names for all weights of our model."""
    rng = np.random.default_rng(seed)
    return {deeplab2_name(w.path): rng.normal(size=w.shape).astype("float32") for w in model.weights}


@pytest.fixture(scope="module", params=CASES)
def reference(request):
    """A model filled through the converter, the description and the outputs of the original, and our outputs."""
    folder = FIXTURES / request.param
    described = json.loads((folder / "variables.json").read_text())
    model = network(*CASES[request.param])
    load_variables(model, {v["name"]: seeded_array(v["name"], v["shape"]) for v in described["variables"]})
    size = (described["height"], described["width"])
    image = np.random.Generator(np.random.PCG64(7)).integers(0, 256, (1, *size, 3)).astype("float32")
    outputs = model({"image": image, "valid_size": np.array([size], "int32")})
    return model, described, np.load(folder / "outputs.npz"), size, outputs


def test_parameters_equal_the_originals(reference):
    model, described, *_ = reference
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == described["trainable_parameters"]


def test_trainable_weights_are_the_originals(reference):
    model, described, *_ = reference
    ours = {deeplab2_name(weight.path): weight.trainable for weight in model.weights}
    assert ours == {variable["name"]: variable["trainable"] for variable in described["variables"]}


def test_outputs_equal_the_originals(reference):
    _, _, expected, size, outputs = reference
    found = {
        "semantic_logits": resize_bilinear(outputs["semantic_logits"], size, True),
        "center_heatmap": resize_bilinear(outputs["center_heatmap"], size, True)[..., 0],
        "offset_map": enlarge_offset(outputs["center_offset"], size, True),
    }
    for key, value in found.items():
        difference = np.abs(np.asarray(value)[:, ::4, ::4] - expected[key]).max()
        # The fixtures' README: the order of float32 sums differs.
        assert difference < max(5e-5 * expected[key].std(), 1e-6), key


def test_the_suffix_of_checkpoint_files_is_optional():
    model = narrow_network()
    variables = variables_of(model)
    load_variables(model, {name + SUFFIX: value for name, value in variables.items()})
    for weight in model.weights:
        np.testing.assert_array_equal(weight, variables[deeplab2_name(weight.path)])


def test_what_belongs_to_training_is_passed_over():
    model = narrow_network()
    kernel = "encoder/_stem/_conv/kernel"
    others = (f"{kernel}/.OPTIMIZER_SLOT/optimizer/m", "optimizer/iter", "global_step", "save_counter")
    load_variables(model, {**variables_of(model), **{name + SUFFIX: np.zeros(()) for name in others}})


def test_misfits_are_named_and_nothing_is_set():
    model = narrow_network()
    before = np.asarray(model.weights[0]).copy()
    variables = variables_of(model)
    variables["encoder/_stage9/_conv/kernel"] = np.zeros(1)
    del variables["semantic_last_layer/bias"]
    variables["instance_center_head_last_layer/bias"] = np.zeros(7)
    with pytest.raises(InputError) as error:
        load_variables(model, variables)
    message = str(error.value)
    assert "weights of DeepLab2's Panoptic-DeepLab" in message and "names fit, the model has" in message
    assert "no place for encoder/_stage9/_conv/kernel" in message
    assert "no value for semantic_last_layer/bias" in message
    assert "instance_center_head_last_layer/bias (found (7,), expected (1,))" in message
    assert "\n" not in message
    np.testing.assert_array_equal(model.weights[0], before)


def test_a_semantic_head_for_other_categories_is_named():
    model = narrow_network()
    variables = variables_of(model)
    for leaf in ("kernel", "bias"):
        array = variables[f"semantic_last_layer/{leaf}"]
        variables[f"semantic_last_layer/{leaf}"] = np.zeros((*array.shape[:-1], 19))
    with pytest.raises(InputError, match=r"semantic logits \(19 channels, the model has 2\); --reset-heads"):
        load_variables(model, variables)


def test_a_semantic_head_that_is_reset_stays_as_it_is():
    model = narrow_network()
    before = {weight.path: np.asarray(weight).copy() for weight in model.weights}
    variables = variables_of(model)
    variables["semantic_last_layer/kernel"] = np.zeros((1, 1, 8, 19))
    left = load_variables(model, variables, reset_heads=True)
    assert sorted(left) == ["semantic_head/predict/bias", "semantic_head/predict/kernel"]
    for weight in model.weights:
        expected = before[weight.path] if weight.path in left else variables[deeplab2_name(weight.path)]
        np.testing.assert_array_equal(weight, expected)


def write_checkpoint(path, variables):
    """A TensorFlow checkpoint with the original's object graph: one attribute for each part of a name."""
    root = tf.Module()
    for name, value in variables.items():
        node = root
        *parents, leaf = name.split("/")
        for part in parents:
            if not hasattr(node, part):
                setattr(node, part, tf.Module())
            node = getattr(node, part)
        setattr(node, leaf, tf.Variable(value))
    objects = {key: value for key, value in vars(root).items() if isinstance(value, tf.Module | tf.Variable)}
    tf.train.Checkpoint(**objects).save(path)


def test_a_tensorflow_checkpoint_is_read_and_loaded(tmp_path):
    model = narrow_network()
    variables = variables_of(model)
    write_checkpoint(str(tmp_path / "ckpt"), {**variables, "optimizer/iter": 5, "global_step": 5})
    read = read_checkpoint(tmp_path / "ckpt-1")
    assert read.keys() == variables.keys()
    load_variables(model, read)
    for weight in model.weights:
        np.testing.assert_array_equal(weight, variables[deeplab2_name(weight.path)])


WIDE = {
    "name": "swidernet",
    "stem_width_multiplier": 0.0625,
    "width_multiplier": 0.0625,
    "layer_multiplier": 0.34,
    "squeeze_excite": True,
    "switchable_stride": 32,
    "output_stride": 16,
}


def test_a_checkpoint_of_a_wide_resnet_is_read_and_loaded(tmp_path):
    model = network({**NARROW, "backbone": WIDE}, 2)
    variables = variables_of(model)
    write_checkpoint(str(tmp_path / "ckpt"), variables)
    load_variables(model, read_checkpoint(tmp_path / "ckpt-1"))
    for weight in model.weights:
        np.testing.assert_array_equal(weight, variables[deeplab2_name(weight.path)])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        # By the attributes of DeepLab2's model/layers/{axial_blocks,convolutions,squeeze_and_excite}.py.
        ("stem/conv/kernel", "_stem/_conv/kernel"),
        ("stage1_block3_conv1/conv/kernel", "_stage1/_block3/_conv1_bn_act/_conv/kernel"),
        ("stage4_block1_conv2_linear/conv/kernel", "_stage4/_block1/_conv2_bn/_conv/kernel"),
        ("stage4_block1_conv2_linear/batch_norm/gamma", "_stage4/_block1/_conv2_bn/_batch_norm/gamma"),
        ("stage2_block1_shortcut/conv/kernel", "_stage2/_block1/_shortcut/_conv/kernel"),
        ("stage2_block1_squeeze_excite/conv/bias", "_stage2/_block1/_squeeze_and_excite/_se_conv/bias"),
        ("stage5_block2_conv2/conv/kernel", "_stage5/_block2/_conv2_bn_act/_conv/kernel"),
        ("stage5_block2_conv2/switch/bias", "_stage5/_block2/_conv2_bn_act/_conv/_switch/bias"),
        (
            "stage5_block2_conv2/pre_context/conv/kernel",
            "_stage5/_block2/_conv2_bn_act/_pre_global_context/convolution/kernel",
        ),
        (
            "stage5_block2_conv2/post_context/conv/bias",
            "_stage5/_block2/_conv2_bn_act/_post_global_context/convolution/bias",
        ),
        # By those of `model/encoder/axial_resnet.py` and `model/layers/resized_fuse.py`.
        ("decoder_stage1_block1_conv2_linear/conv/kernel", "_decoder_stage1/_block1/_conv2_bn/_conv/kernel"),
        (
            "decoder_stage4_block1_attention/height_axis/qkv_kernel",
            "_decoder_stage4/_block1/_attention/_height_axis/qkv_kernel",
        ),
        (
            "decoder_stage2_resized_fuse_resized_conv1/conv/kernel",
            "_decoder_stage2_resized_fuse/_resized_conv_bn1/_conv/kernel",
        ),
        (
            "decoder_stage4_resized_fuse_strided_conv1/batch_norm/beta",
            "_decoder_stage4_resized_fuse/_strided_conv_bn1/_batch_norm/beta",
        ),
    ],
)
def test_weights_of_wide_resnets_have_the_originals_names(path, name):
    assert deeplab2_name(path) == f"encoder/{name}"


NARROW_MAX_L = {"name": "max_deeplab_l_backbone"} | {key: WIDE[key] for key in list(WIDE)[1:4]}


def test_a_decoder_that_the_model_does_not_read_is_passed_over():
    """Axial-DeepLab ends MaX-DeepLab-L's backbone at `res5`; the rest of it stands in the published file."""
    model = network({**NARROW, "aspp_rates": [], "backbone": NARROW_MAX_L}, 2)
    variables = variables_of(model)
    load_variables(model, variables | {"encoder/_decoder_stage1/_block1/_conv1_bn_act/_conv/kernel": np.ones(3)})
    for weight in model.weights:
        np.testing.assert_array_equal(np.ravel(weight), np.ravel(variables[deeplab2_name(weight.path)]))


def test_a_decoder_that_the_model_reads_is_filled():
    skip = {"skips": [{"endpoint": "res5_decoded", "channels": 4}]}
    branches = {name: NARROW[name] | skip for name in ("semantic", "instance")}
    model = network({**NARROW, **branches, "backbone": NARROW_MAX_L}, 2)
    variables = variables_of(model)
    assert sum(name.startswith("encoder/_decoder_stage") for name in variables) > 40
    load_variables(model, variables)
    for weight in model.weights:
        np.testing.assert_array_equal(np.ravel(weight), np.ravel(variables[deeplab2_name(weight.path)]))


def test_every_weight_of_a_wide_resnet_has_a_name_of_the_original():
    names = variables_of(network({**NARROW, "backbone": WIDE}, 2))
    starts = ("encoder/_stem/", "encoder/_stage", "semantic_", "instance_")
    assert all(name.startswith(starts) for name in names)


def test_the_latest_checkpoint_of_a_folder_is_read(tmp_path):
    write_checkpoint(str(tmp_path / "ckpt"), {"encoder/_stem/_conv/kernel": [1.0]})
    assert list(read_checkpoint(tmp_path)) == ["encoder/_stem/_conv/kernel"]


def test_a_file_that_is_no_checkpoint_is_told_with_what_was_expected(tmp_path):
    (tmp_path / "text").write_bytes(b"no")
    (tmp_path / "empty").touch()
    found = {"text": "not a TensorFlow checkpoint", "empty": "an empty file", "none": "no such checkpoint"}
    for name, words in found.items():
        with pytest.raises(InputError) as error:
            read_checkpoint(tmp_path / name)
        expected = "expected a TensorFlow checkpoint of DeepLab2, by its path without .index or by its folder"
        assert str(error.value) == f"{tmp_path / name}: {words}; {expected}"


def test_an_index_or_a_folder_that_holds_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "ckpt.index").write_bytes(b"no")
    for path in (tmp_path / "ckpt", tmp_path / "ckpt.index", tmp_path):
        with pytest.raises(InputError) as error:
            read_checkpoint(path)
        assert str(error.value).startswith(f"{path}: not a TensorFlow checkpoint")


def test_a_model_of_another_architecture_is_named():
    model = SimpleNamespace(weights=[], experiment=SimpleNamespace(model=SimpleNamespace(name="panoptic_fpn")))
    with pytest.raises(InputError, match="expected 'panoptic_deeplab' or 'axial_deeplab' .*found 'panoptic_fpn'"):
        load_variables(model, {})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"normalization": "per_image"}, r"model\.normalization: expected 'symmetric' .*found 'per_image'"),
        ({"norm": {"epsilon": 1e-5}}, r"model\.norm\.epsilon: expected 0\.001 .*found 1e-05"),
        ({"align_corners": False}, r"model\.align_corners: expected True"),
        ({"backbone": {**NARROW["backbone"], "max_pool": True}}, r"model\.backbone\.max_pool: expected False"),
    ],
)
def test_a_model_that_computes_something_else_with_the_weights_is_refused(settings, words):
    config = PanopticDeepLabConfig.model_validate({**NARROW, **settings})
    model = narrow_network()
    model.experiment = SimpleNamespace(model=config)
    arrays = {deeplab2_name(weight.path): np.asarray(weight) for weight in model.weights}
    with pytest.raises(InputError, match=words):
        load_variables(model, arrays)
