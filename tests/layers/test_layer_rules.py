"""What holds for every layer: shapes, reloading, gradients and precision."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.layers.aspp import ASPP
from tfpanoptic.layers.axial_attention import AxialAttention
from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm, SeparableConvNorm
from tfpanoptic.layers.deformable_conv import DeformableConv
from tfpanoptic.layers.dense_head import DenseHead
from tfpanoptic.layers.norm import BatchNorm, FrozenBatchNorm, GroupNorm, Norm
from tfpanoptic.layers.resize_like import ResizeLike
from tfpanoptic.layers.skip_decoder import SkipDecoder
from tfpanoptic.layers.space_to_depth_decoder import SpaceToDepthDecoder
from tfpanoptic.layers.squeeze_excite import EffectiveSqueezeExcite, SqueezeExcite
from tfpanoptic.layers.switchable_atrous_conv import GlobalContext, SwitchableConvNorm
from tfpanoptic.layers.upsnet_semantic import SharedDeformableHead

# name -> (how to make it, channels and relative stride of each input, whether they come as one list, output channels)
LAYERS = {
    "conv": (lambda: ConvNorm(5, 3, name="x"), [(4, 1)], False, 5),
    "strided_conv": (lambda: ConvNorm(5, 3, stride=2, name="x"), [(4, 1)], False, 5),
    "same_conv": (lambda: ConvNorm(5, 3, stride=2, padding="same", name="x"), [(4, 1)], False, 5),
    "dilated_conv": (lambda: ConvNorm(5, 3, dilation=2, activation=None, name="x"), [(4, 1)], False, 5),
    "depthwise": (lambda: DepthwiseConvNorm(3, dilation=2, name="x"), [(4, 1)], False, 4),
    "strided_depthwise": (
        lambda: DepthwiseConvNorm(5, stride=2, activation="hard_swish", name="x"),
        [(4, 1)],
        False,
        4,
    ),
    "frozen_conv": (lambda: ConvNorm(5, 3, norm=Norm("frozen"), name="x"), [(4, 1)], False, 5),
    "group_conv": (lambda: ConvNorm(6, 3, stride=2, norm=Norm("group", groups=3), name="x"), [(4, 1)], False, 6),
    "conv_alone": (lambda: ConvNorm(5, 3, norm=Norm("none"), name="x"), [(4, 1)], False, 5),
    "group_depthwise": (lambda: DepthwiseConvNorm(3, norm=Norm("group", groups=2), name="x"), [(4, 1)], False, 4),
    "frozen_separable": (lambda: SeparableConvNorm(6, 5, norm=Norm("frozen"), name="x"), [(4, 1)], False, 6),
    "separable_alone": (lambda: SeparableConvNorm(6, 5, norm=Norm("none"), name="x"), [(4, 1)], False, 6),
    "batch_norm": (lambda: BatchNorm(name="x"), [(4, 1)], False, 4),
    "frozen_batch_norm": (lambda: FrozenBatchNorm(name="x"), [(4, 1)], False, 4),
    "group_norm": (lambda: GroupNorm(2, name="x"), [(4, 1)], False, 4),
    "separable": (lambda: SeparableConvNorm(6, 5, name="x"), [(4, 1)], False, 6),
    "squeeze_excite": (lambda: SqueezeExcite(3, name="x"), [(4, 1)], False, 4),
    "hard_squeeze_excite": (lambda: SqueezeExcite(3, "hard_sigmoid", name="x"), [(4, 1)], False, 4),
    "effective_squeeze_excite": (lambda: EffectiveSqueezeExcite(name="x"), [(4, 1)], False, 4),
    "switchable_conv": (lambda: SwitchableConvNorm(5, 3, name="x"), [(4, 1)], False, 5),
    "strided_switchable_conv": (lambda: SwitchableConvNorm(5, 3, stride=2, name="x"), [(4, 1)], False, 5),
    "global_context": (lambda: GlobalContext(name="x"), [(4, 1)], False, 4),
    "aspp": (lambda: ASPP(6, (1, 2), dropout=0.0, name="x"), [(4, 1)], False, 6),
    "aspp_window": (lambda: ASPP(6, (2,), pool_window=(3, 4), dropout=0.0, name="x"), [(4, 1)], False, 6),
    "separable_aspp": (lambda: ASPP(6, (1, 2), dropout=0.0, separable=True, name="x"), [(4, 1)], False, 6),
    "decoder": (lambda: SkipDecoder((3, 2), 6, name="x"), [(5, 4), (4, 2), (3, 1)], True, 6),
    "group_aspp": (lambda: ASPP(6, (1,), dropout=0.0, norm=Norm("group", groups=2), name="x"), [(4, 1)], False, 6),
    "frozen_decoder": (lambda: SkipDecoder((3,), 6, norm=Norm("frozen"), name="x"), [(5, 2), (3, 1)], True, 6),
    "plain_decoder": (lambda: SkipDecoder((3,), 6, 3, separable=False, name="x"), [(5, 2), (3, 1)], True, 6),
    "space_to_depth": (lambda: SpaceToDepthDecoder(4, 2, 5, 3, 4, 3, name="x"), [(5, 4), (3, 1)], True, 3),
    "plain_space_to_depth": (
        lambda: SpaceToDepthDecoder(4, 2, 5, 3, 2, 3, separable=False, name="x"),
        [(5, 2), (3, 1)],
        True,
        3,
    ),
    "dense_head": (lambda: DenseHead(6, 2, name="x"), [(4, 1)], False, 2),
    "dense_head_alone": (lambda: DenseHead(6, 2, norm=Norm("none"), name="x"), [(4, 1)], False, 2),
    "plain_dense_head": (lambda: DenseHead(6, 2, 3, separable=False, name="x"), [(4, 1)], False, 2),
    "deformable_conv": (lambda: DeformableConv(5, dilation=2, activation="relu", name="x"), [(4, 1)], False, 5),
    "shared_deformable_head": (
        lambda: SharedDeformableHead(5, (4, 3), name="x"),
        [(4, 1), (4, 2), (4, 4), (4, 8)],
        True,
        5,
    ),
    "axial_attention": (lambda: AxialAttention(4, 6, 2, name="x"), [(4, 1)], False, 6),
    "strided_axial_attention": (lambda: AxialAttention(2, 4, 2, 2, 5, name="x"), [(4, 1)], False, 4),
    "frozen_axial_attention": (lambda: AxialAttention(4, 6, 2, norm=Norm("frozen"), name="x"), [(4, 1)], False, 6),
    "resize_like": (lambda: ResizeLike(True, name="x"), [(4, 2), (3, 1)], False, 4),
}
SIZES = [(12, 16), (13, 9)]
# The softmax takes away what it adds.
WITHOUT_EFFECT = "logit_norm/beta"


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(params=LAYERS)
def case(request):
    return LAYERS[request.param]


def arrays(inputs, size, batch=3):
    """One random map for each input, at its stride."""
    rng = np.random.default_rng(1)
    height, width = size
    return [rng.normal(size=(batch, -(-height // s), -(-width // s), c)).astype("float32") for c, s in inputs]


def apply(layer, tensors, as_list):
    return layer(tensors) if as_list else layer(*tensors)


def functional(layer, inputs, as_list):
    tensors = [keras.Input((None, None, channels), name=f"in{i}") for i, (channels, _) in enumerate(inputs)]
    return keras.Model(tensors, apply(layer, tensors, as_list))


@pytest.mark.parametrize("size", SIZES)
def test_the_grid_and_channels_are_as_documented(case, size):
    make, inputs, as_list, channels = case
    layer = make()
    stride = layer.get_config().get("stride", 1)
    result = apply(layer, arrays(inputs, size), as_list)
    assert tuple(result.shape) == (3, -(-size[0] // stride), -(-size[1] // stride), channels)


@pytest.mark.parametrize("size", SIZES)
def test_the_declared_shape_is_the_actual_one(case, size):
    make, inputs, as_list, _ = case
    layer, tensors = make(), arrays(inputs, size)
    declared = apply(layer, [keras.KerasTensor(t.shape) for t in tensors], as_list)
    actual = apply(layer, tensors, as_list)
    assert tuple(declared.shape) == tuple(actual.shape) and declared.dtype == actual.dtype.name


def test_unknown_sizes_stay_unknown(case):
    make, inputs, as_list, channels = case
    assert functional(make(), inputs, as_list).output.shape == (None, None, None, channels)


def test_a_reloaded_layer_gives_equal_outputs(case, tmp_path):
    make, inputs, as_list, _ = case
    model, tensors = functional(make(), inputs, as_list), arrays(inputs, SIZES[1])
    model.save(tmp_path / "layer.keras")
    reloaded = keras.models.load_model(tmp_path / "layer.keras")
    np.testing.assert_array_equal(reloaded(tensors), model(tensors))


def test_every_weight_receives_a_gradient(case):
    make, inputs, as_list, _ = case
    layer = make()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(functional(layer, inputs, as_list)(arrays(inputs, SIZES[0]), training=True) ** 2)
    gradients = tape.gradient(total, [weight.value for weight in layer.trainable_weights])
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert tf.reduce_any(gradient != 0) != weight.path.endswith(WITHOUT_EFFECT), weight.path


def test_bfloat16_reaches_every_layer_but_the_predictions(case):
    make, inputs, as_list, _ = case
    with keras_policy("mixed_bfloat16"):
        layer = make()
        result = apply(layer, arrays(inputs, SIZES[0]), as_list)
    assert result.dtype == (tf.float32 if isinstance(layer, (DenseHead, SharedDeformableHead)) else tf.bfloat16)


def test_weight_paths_start_with_the_layer_and_hold_no_counters(case):
    make, inputs, as_list, _ = case
    first = [w.path for w in functional(make(), inputs, as_list).weights]
    again = [w.path for w in functional(make(), inputs, as_list).weights]
    assert first == again and all(path.startswith("x/") for path in first)


@contextmanager
def keras_policy(name):
    """A dtype policy for the length of a `with` block."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
