import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.layers.fpn import FeaturePyramid

WIDTHS = (3, 4, 5, 6)


def maps(height=2, width=3, seed=0):
    """Four maps, the coarsest of (height, width)."""
    rng = np.random.default_rng(seed)
    sizes = [(height * 2**n, width * 2**n) for n in (3, 2, 1, 0)]
    return [rng.normal(size=(2, *size, depth)).astype("float32") for size, depth in zip(sizes, WIDTHS, strict=True)]


def middle_of(shape):
    """A kernel that passes its middle on."""
    kernel = np.zeros(shape, "float32")
    kernel[shape[0] // 2, shape[1] // 2] = 1.0
    return kernel


@pytest.mark.parametrize(("height", "width"), [(2, 3), (1, 1)])
def test_levels_have_one_width_and_the_last_is_half_of_the_one_before(height, width):
    levels = FeaturePyramid(8, name="fpn")(maps(height, width))
    coarsest = ((height + 1) // 2, (width + 1) // 2)
    sizes = [*((height * 2**n, width * 2**n) for n in (3, 2, 1, 0)), coarsest]
    assert [tuple(level.shape) for level in levels] == [(2, *size, 8) for size in sizes]


def test_declared_shapes_are_the_actual_ones_and_unknown_ones_stay_unknown():
    layer, tensors = FeaturePyramid(8, name="fpn"), maps()
    declared = layer([keras.KerasTensor(t.shape) for t in tensors])
    assert [tuple(d.shape) for d in declared] == [tuple(level.shape) for level in layer(tensors)]
    unknown = FeaturePyramid(8, name="fpn")([keras.Input((None, None, depth)) for depth in WIDTHS])
    assert {tuple(level.shape) for level in unknown} == {(None, None, None, 8)}


def test_a_coarse_cell_is_repeated_in_the_four_finer_ones():
    # All kernels pass one channel on: 1x1 identity, and 3x3 identity at the middle.
    layer = FeaturePyramid(1, name="fpn")
    tensors = [np.zeros((1, 2 * 2**n, 2 * 2**n, 1), "float32") for n in (3, 2, 1, 0)]
    tensors[-1][0, 0, 1, 0] = 5.0
    tensors[-2][0, 3, 3, 0] = 1.0
    layer(tensors)
    for conv in (*layer.laterals, *layer.outputs):
        conv.kernel.assign(middle_of(conv.kernel.shape))
    levels = [np.asarray(level)[0, ..., 0] for level in layer(tensors)]
    np.testing.assert_array_equal(levels[3], [[0, 5], [0, 0]])
    np.testing.assert_array_equal(levels[2], [[0, 0, 5, 5], [0, 0, 5, 5], [0, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(levels[1], np.repeat(np.repeat(levels[2], 2, 0), 2, 1))
    np.testing.assert_array_equal(levels[4], [[0]])


def test_global_context_adds_the_projected_mean_of_the_coarsest_map_everywhere():
    plain, layer = FeaturePyramid(1, name="fpn"), FeaturePyramid(1, global_context=True, name="fpn")
    tensors = [np.zeros((1, 8 // 2**n, 8 // 2**n, 1), "float32") for n in range(4)]
    tensors[3][:] = 3.0
    for made in (plain, layer):
        made(tensors)
        for conv in (*made.laterals, *made.outputs):
            conv.kernel.assign(middle_of(conv.kernel.shape))
    layer.context.kernel.assign([[2.0]])
    for with_context, without in zip(layer(tensors), plain(tensors), strict=True):
        np.testing.assert_allclose(with_context - without, 6.0)


@pytest.mark.parametrize("context", [False, True])
def test_every_weight_receives_a_gradient(context):
    layer = FeaturePyramid(8, context, name="fpn")
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_sum(level**2) for level in layer(maps())])
    gradients = tape.gradient(total, [weight.value for weight in layer.trainable_weights])
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=True):
        assert gradient is not None and tf.reduce_any(gradient != 0), weight.path


def test_paths_name_the_levels_by_the_logarithm_of_their_stride():
    layer = FeaturePyramid(8, name="fpn")
    layer(maps())
    kinds = [f"{kind}{n}" for kind in ("lateral", "output") for n in (2, 3, 4, 5)]
    expected = {f"fpn/{kind}/{leaf}" for kind in kinds for leaf in ("kernel", "bias")}
    assert {weight.path for weight in layer.weights} == expected


def test_a_reloaded_pyramid_gives_equal_levels(tmp_path):
    inputs = [keras.Input((None, None, depth)) for depth in WIDTHS]
    model, tensors = keras.Model(inputs, FeaturePyramid(8, True, name="fpn")(inputs)), maps()
    model.save(tmp_path / "fpn.keras")
    for ours, theirs in zip(keras.models.load_model(tmp_path / "fpn.keras")(tensors), model(tensors), strict=True):
        np.testing.assert_array_equal(ours, theirs)
