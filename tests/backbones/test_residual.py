import keras
import numpy as np
import pytest

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.backbones.residual import DropPath, Place, residual_sum, stages
from tfpanoptic.errors import SettingError
from tfpanoptic.layers.norm import Norm

SEED = np.array([[seed, 7] for seed in range(400)], np.int32)


def places(counts, output_stride, stride=2):
    """The places of a network whose branches are its input."""
    found = []

    def branch(x, place):
        found.append(place)
        return x[:, :: place.stride, :: place.stride]

    endpoints, _ = stages(keras.Input((64, 96, 1)), counts, output_stride, branch, Norm(), stride=stride)
    return found, {name: tuple(x.shape[1:3]) for name, x in endpoints.items()}


def test_blocks_of_a_network_that_never_dilates():
    found, endpoints = places((1, 2, 1), 32, stride=4)
    assert found == [
        Place(3, 1, input_stride=4, stride=2),
        Place(4, 1, input_stride=8, stride=2),
        Place(4, 2, input_stride=16),
        Place(5, 1, input_stride=16, stride=2),
    ]
    assert endpoints == {"res3": (32, 48), "res4": (16, 24), "res5": (8, 12)}


def test_blocks_after_a_stride_that_is_dropped_dilate():
    found, _ = places((1, 1, 2, 2), 8)
    assert found[2:] == [
        Place(4, 1, input_stride=8, dilation=1, next_dilation=2),
        Place(4, 2, input_stride=16, dilation=2, next_dilation=2),
        Place(5, 1, input_stride=16, dilation=2, next_dilation=4),
        Place(5, 2, input_stride=32, dilation=4, next_dilation=4),
    ]


def test_a_first_stage_at_the_stride_of_the_stem_does_not_stride():
    assert places((1, 1, 1, 1, 1), 32)[0][:2] == [Place(1, 1, input_stride=2), Place(2, 1, input_stride=2, stride=2)]


def test_sums_are_the_maps_before_their_relu():
    x = keras.Input((4, 4, 1))
    endpoints, sums = stages(x, (1, 1), 8, lambda x, place: -2 * x, Norm(), stride=8)
    model = keras.Model(x, [endpoints["res4"], sums["sum4"]])
    activated, total = model(np.ones((1, 4, 4, 1), "float32"))
    np.testing.assert_array_equal(total, -1)
    np.testing.assert_array_equal(activated, 0)


def test_paths_are_dropped_more_often_the_coarser_their_input():
    """DeepLab2's linear schedule: 0.2 at the last of four stages, whose input has stride 32."""
    drop = DropPath(0.2, from_stride=4)
    rates = [drop.of(Place(2, 1, stride)) for stride in (2, 4, 8, 16, 32)]
    np.testing.assert_allclose(rates, [0, 0.05, 0.1, 0.15, 0.2])
    assert [DropPath(0.2, from_stride=16).of(Place(4, 1, stride)) for stride in (4, 8)] == [0, 0]


def test_a_dropped_path_leaves_the_input_and_a_kept_one_is_scaled_up():
    x, seed = keras.Input((2, 2, 1)), keras.Input((2,), dtype="int32")
    drop = DropPath(0.25, from_stride=2, seed=seed)
    model = keras.Model([x, seed], residual_sum(3 * x, x, Place(5, 2, input_stride=32), Norm(), drop))
    ones = np.ones((400, 2, 2, 1), "float32")
    np.testing.assert_array_equal(model([ones, SEED], training=False), 4)
    found = np.asarray(model([ones, SEED], training=True))[..., 0]
    assert (found == found[:, :1, :1]).all()  # all of an image or nothing
    assert set(np.unique(found)) == {1, 5}
    # 400 images: the deviation of the share is 0.022.
    np.testing.assert_allclose((found[:, 0, 0] == 1).mean(), 0.25, atol=5 * 0.022)


def test_two_blocks_drop_other_images():
    x, seed = keras.Input((1, 1, 1)), keras.Input((2,), dtype="int32")
    drop = DropPath(0.5, seed=seed)
    sums = [residual_sum(x, x, Place(5, number, input_stride=32), Norm(), drop) for number in (2, 3)]
    first, second = keras.Model([x, seed], sums)([np.ones((400, 1, 1, 1), "float32"), SEED], training=True)
    # Independent coins agree in half of the images.
    np.testing.assert_allclose(np.mean(np.asarray(first) == np.asarray(second)), 0.5, atol=5 * 0.025)


@pytest.mark.parametrize("name", ["axial_deeplab_s", "swidernet", "axial_swidernet"])
def test_paths_need_a_seed(name):
    backbone = BACKBONES[name]
    config = backbone.config(name=name, width_multiplier=0.0625, layer_multiplier=0.34, drop_path=0.1)
    assert backbone.drops(config)
    with pytest.raises(SettingError, match="expected 0 in this architecture, found 0.1"):
        backbone.build(keras.Input((None, None, 3)), config, Norm())


@pytest.mark.parametrize(("name", "first"), [("axial_deeplab_s", 16), ("swidernet", 4), ("max_deeplab_l_backbone", 4)])
def test_which_blocks_of_a_network_are_dropped(name, first):
    """By the stride of their input, as DeepLab2's `drop_path_beyond_stride`."""
    backbone = BACKBONES[name]
    config = backbone.config(name=name, width_multiplier=0.0625, layer_multiplier=0.67, output_stride=16, drop_path=0.2)
    image, seed = keras.Input((33, 33, 3)), keras.Input((2,), dtype="int32")
    model = keras.Model([image, seed], backbone.build(image, config, Norm(), seed))
    rates = {x.name.removesuffix("_drop_path"): x.rate for x in model.layers if x.name.endswith("_drop_path")}
    strides = {5: 32, 4: 16, 3: 8, 2: 4}
    stages_of_blocks = [
        x.name[: -len("_add")] for x in model.layers if x.name.startswith("stage") and x.name.endswith("_add")
    ]
    expected = {}
    for block in stages_of_blocks:
        stage, number = int(block[5]), int(block.rpartition("_block")[2])
        stride = strides.get(stage, 2) // (2 if number == 1 and stage > 1 else 1)
        if stride >= first:
            expected[block] = {4: 0.05, 8: 0.1, 16: 0.15, 32: 0.2}[stride]
    if name == "max_deeplab_l_backbone":
        expected |= {f"decoder_stage{n}_block1": rate for n, rate in ((1, 0.1), (2, 0.05), (3, 0.1), (4, 0.2))}
    assert rates == pytest.approx(expected)
