import keras
import numpy as np
import pytest

from tfpanoptic.backbones.resnet import RESNET
from tfpanoptic.errors import InputError
from tfpanoptic.layers.norm import Norm
from tfpanoptic.settings.config import validate

DETECTRON2 = {"stride_on": "1x1", "max_pool": True}


def endpoints(name, size=(None, None), norm=Norm(), **options):
    image = keras.Input((*size, 3), name="image")
    return image, RESNET.build(image, RESNET.config(name=name, **options), norm)


@pytest.mark.parametrize(("size", "first"), [((97, 129), (49, 65)), ((96, 128), (48, 64))])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_endpoints_halve_down_to_the_output_stride(size, first, output_stride):
    _, outputs = endpoints("resnet10", size, output_stride=output_stride, width_multiplier=0.125)
    expected = first
    for number, stride in enumerate((2, 4, 8, 16, 32), start=1):
        if 2 < stride <= output_stride:
            expected = tuple(-(-side // 2) for side in expected)
        assert outputs[f"res{number}"].shape[1:3] == expected


def dilations(output_stride):
    model = keras.Model(*endpoints("resnet50", output_stride=output_stride, width_multiplier=0.0625))
    return {
        stage: [
            layer.get_config()["dilation"]
            for layer in model.layers
            if layer.name.startswith(f"stage{stage}_") and layer.name.endswith("_conv2")
        ]
        for stage in (4, 5)
    }


def test_removed_strides_become_dilations_after_the_first_block():
    # DeepLab2: the first block of a stage still has the rate of the stage before.
    assert dilations(32) == {4: [1] * 6, 5: [1] * 3}
    assert dilations(16) == {4: [1] * 6, 5: [1, 2, 2]}
    assert dilations(8) == {4: [1, 2, 2, 2, 2, 2], 5: [2, 4, 4]}


def test_the_width_multiplier_leaves_the_stem_of_bottleneck_networks():
    _, outputs = endpoints("resnet50", width_multiplier=0.25)
    assert [outputs[f"res{n}"].shape[-1] for n in range(1, 6)] == [64, 64, 128, 256, 512]


def test_the_width_multiplier_narrows_small_networks_from_the_stem_on():
    _, outputs = endpoints("resnet18", width_multiplier=0.25, stem="beta")
    assert [outputs[f"res{n}"].shape[-1] for n in range(1, 6)] == [32, 16, 32, 64, 128]


@pytest.mark.parametrize(("name", "convolutions"), [("resnet10", 1 + 2 * 4), ("resnet18", 1 + 2 * 8)])
def test_small_networks_have_two_convolutions_a_block(name, convolutions):
    model = keras.Model(*endpoints(name, width_multiplier=0.125))
    names = [layer.name for layer in model.layers if layer.name == "stem" or "_conv" in layer.name]
    assert len(names) == convolutions


def test_residual_branches_start_at_zero():
    image, outputs = endpoints("resnet18", width_multiplier=0.125, output_stride=8)
    model = keras.Model(image, {"before": outputs["res1"], "after": outputs["res2"]})
    result = model(np.random.default_rng(0).normal(size=(1, 17, 17, 3)).astype("float32"))
    # Equal widths: stage 2 only subsamples the stem's output, already above 0 after its ReLU.
    np.testing.assert_array_equal(result["after"], np.asarray(result["before"])[:, ::2, ::2])


@pytest.mark.parametrize("size", [(97, 129), (96, 128)])
@pytest.mark.parametrize("output_stride", [16, 32])
def test_max_pooling_takes_the_place_of_the_stride_of_stage_2(size, output_stride):
    options = {"output_stride": output_stride, "width_multiplier": 0.125}
    _, plain = endpoints("resnet50", size, **options)
    _, pooled = endpoints("resnet50", size, **options, **DETECTRON2)
    assert {name: x.shape for name, x in pooled.items()} == {name: x.shape for name, x in plain.items()}


def strides(**options):
    """Stride of each convolution that has one above 1."""
    model = keras.Model(*endpoints("resnet50", width_multiplier=0.0625, **options))
    convolutions = [layer for layer in model.layers if "stem" in layer.name or "_conv" in layer.name]
    return {layer.name: layer.conv.strides[0] for layer in convolutions if layer.conv.strides[0] > 1}


def test_bottlenecks_stride_on_the_configured_convolution():
    places = [f"stage{stage}_block1" for stage in (2, 3, 4, 5)]
    assert strides() == {"stem": 2, **{f"{place}_conv2": 2 for place in places}}
    assert strides(stride_on="1x1") == {"stem": 2, **{f"{place}_conv1": 2 for place in places}}


@pytest.mark.parametrize("size", [(17, 23), (16, 24)])
def test_max_pooling_sees_three_cells_about_every_second(size):
    image, outputs = endpoints("resnet10", size, width_multiplier=0.125, max_pool=True)
    model = keras.Model(image, outputs)
    parts = keras.Model(image, {"stem": outputs["res1"], "pooled": model.get_layer("stem_pool").output})
    result = parts(np.random.default_rng(0).normal(size=(1, *size, 3)).astype("float32"))
    padded = np.pad(result["stem"], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    height, width = result["stem"].shape[1:3]
    windows = [padded[:, y : y + height : 2, x : x + width : 2] for y in range(3) for x in range(3)]
    np.testing.assert_array_equal(result["pooled"], np.max(windows, axis=0))


def test_frozen_normalisation_trains_the_kernels_alone(no_random_weights):
    model = keras.Model(*endpoints("resnet50", norm=Norm("frozen", epsilon=1e-5), **DETECTRON2))
    # Normalised channels: stem 64; stages 3 * (64 + 64 + 256) + 256 = 1,408, 4 * (128 + 128 + 512) + 512 = 3,584,
    # 6 * (256 + 256 + 1024) + 1024 = 10,240 and 3 * (512 + 512 + 2048) + 2048 = 11,264; 26,560 in all, with gamma and
    # beta each. torchvision's ResNet-50 has 25,557,032 parameters, of these 2048 * 1000 + 1000 = 2,049,000 in its
    # classifier: 23,508,032 in the trunk.
    kernels = 23_508_032 - 2 * 26_560
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == kernels
    assert sum(int(np.prod(weight.shape)) for weight in model.weights) == kernels + 4 * 26_560


def weight_paths(**options):
    return {weight.path for weight in keras.Model(*endpoints("resnet50", width_multiplier=0.0625, **options)).weights}


def test_weight_paths_are_the_same_in_every_form():
    assert weight_paths(norm=Norm("frozen"), **DETECTRON2) == weight_paths()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "resnet50", "stem": "inception"}, "backbone.stem.*plain.*beta.*inception"),
        ({"name": "resnet18", "stride_on": "1x1"}, "stride_on.*3x3.*resnet18.*1x1"),
    ],
)
def test_what_a_resnet_does_not_have_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        validate(RESNET.config, options, "run.yaml", "backbone")
