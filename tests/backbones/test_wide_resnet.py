import keras
import numpy as np
import pytest

from tfpanoptic.backbones.wide_resnet import WIDE_RESNET
from tfpanoptic.errors import InputError
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.squeeze_excite import EffectiveSqueezeExcite
from tfpanoptic.layers.switchable_atrous_conv import SwitchableConvNorm
from tfpanoptic.settings.config import validate

NARROW = {"stem_width_multiplier": 0.0625, "width_multiplier": 0.0625, "layer_multiplier": 0.67}


def network(name="swidernet", size=(None, None), **options):
    image = keras.Input((*size, 3), name="image")
    return keras.Model(image, WIDE_RESNET.build(image, WIDE_RESNET.config(name=name, **options), Norm()))


@pytest.mark.parametrize(("layers", "blocks"), [(1, (3, 3, 6, 3, 3)), (4.5, (3, 13, 27, 13, 13))])
def test_the_layer_multiplier_leaves_the_first_stage(layers, blocks):
    """DeepLab2's own tests: 4.5 is rounded down to 13, 27, 13, 13."""
    names = {layer.name for layer in network(**{**NARROW, "layer_multiplier": layers}).layers}
    found = tuple(max(n for n in range(1, 30) if f"stage{stage}_block{n}_conv1" in names) for stage in (1, 2, 3, 4, 5))
    assert found == blocks


def test_each_part_of_the_network_has_its_width_multiplier():
    model = network(stem_width_multiplier=0.25, width_multiplier=0.125, layer_multiplier=0.34)
    assert model.get_layer("stem").filters == 16
    assert [model.output[f"res{n}"].shape[-1] for n in range(1, 6)] == [32, 32, 64, 128, 256]


@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_finer_output_stride_gives_more_of_the_same_features(output_stride):
    """DeepLab2's test of its dilations, `test_model_atrous_consistency_with_output_stride_four`."""
    coarse, fine = network(**NARROW), network(**NARROW, output_stride=output_stride)
    for weight in coarse.weights:
        if weight.path.endswith("gamma"):
            weight.assign(np.ones(weight.shape))
    fine.set_weights(coarse.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 65, 97, 3)).astype("float32")
    every = 32 // output_stride
    expected, found = coarse(x)["res5"], np.asarray(fine(x)["res5"])[:, ::every, ::every]
    np.testing.assert_allclose(found / np.std(expected), expected / np.std(expected), atol=1e-4)


def convolutions(kind, **options):
    return {layer.name for layer in network(**NARROW, **options).layers if isinstance(layer, kind)}


def test_switchable_convolutions_begin_at_their_stride():
    assert convolutions(SwitchableConvNorm) == set()
    last = {"stage5_block1_conv2", "stage5_block2_conv2"}
    assert convolutions(SwitchableConvNorm, switchable_stride=32, output_stride=16) == last
    stage4 = {f"stage4_block{block}_{part}" for block in (1, 2) for part in ("conv1", "conv2_linear")}
    assert convolutions(SwitchableConvNorm, switchable_stride=16) == last | stage4


def test_every_block_may_weigh_its_channels():
    blocks = (3, 2, 4, 2, 2)
    expected = {f"stage{s}_block{b}_squeeze_excite" for s, n in enumerate(blocks, start=1) for b in range(1, n + 1)}
    assert convolutions(EffectiveSqueezeExcite, squeeze_excite=True) == expected


def test_new_switches_leave_the_network_as_it_is():
    plain = network(**NARROW, output_stride=16)
    switchable = network(**NARROW, output_stride=16, switchable_stride=32)
    values = {weight.path: weight for weight in plain.weights}
    for weight in switchable.weights:
        if weight.path in values:
            weight.assign(values[weight.path])
    x = np.random.default_rng(0).normal(size=(1, 33, 33, 3)).astype("float32")
    np.testing.assert_allclose(switchable(x)["res5"], plain(x)["res5"], atol=1e-5)


def test_there_are_no_imagenet_weights():
    with pytest.raises(InputError, match=r"backbone\.weights: .*no ImageNet weights for swidernet, found 'imagenet'"):
        validate(WIDE_RESNET.config, {"name": "swidernet", "weights": "imagenet"}, "run.yaml", "model.backbone")
