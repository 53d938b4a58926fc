import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm, SeparableConvNorm
from tfpanoptic.layers.norm import Norm

# With this epsilon and moving variance 1 - epsilon, a fresh batch normalisation in inference changes nothing.
NORM = Norm(epsilon=0.25)


def set_kernel(layer, value):
    """Every tap of the kernel is `value`; the normalisation lets the convolution through as it is."""
    layer.conv.kernel.assign(np.full(layer.conv.kernel.shape, value, "float32"))
    layer.norm.moving_variance.assign(np.full(layer.norm.moving_variance.shape, 1 - NORM.epsilon, "float32"))


def test_strided_convolutions_pad_even_sizes_on_all_sides():
    layer = ConvNorm(1, 3, stride=2, norm=NORM)
    layer.build((1, 4, 4, 1))
    set_kernel(layer, 1.0)
    # Taps inside the map around rows and columns 0 and 2: 2 and 3. TensorFlow's "same" would give 9, 6, 6, 4.
    result = layer(np.ones((1, 4, 4, 1), "float32"))
    np.testing.assert_allclose(result[0, :, :, 0], [[4, 6], [6, 9]], rtol=1e-6)


@pytest.mark.parametrize(
    "layer", [ConvNorm(1, 3, stride=2, norm=NORM, padding="same"), DepthwiseConvNorm(3, 2, norm=NORM, padding="same")]
)
def test_same_padding_of_even_sizes_is_at_the_bottom_and_right(layer):
    layer.build((1, 4, 4, 1))
    set_kernel(layer, 1.0)
    # Taps inside the map from rows and columns 0 and 2 on: 3 and 2.
    np.testing.assert_allclose(layer(np.ones((1, 4, 4, 1), "float32"))[0, :, :, 0], [[9, 6], [6, 4]], rtol=1e-6)


@pytest.mark.parametrize("layer", [ConvNorm(1, 7, stride=2, norm=NORM), DepthwiseConvNorm(7, stride=2, norm=NORM)])
def test_a_strided_kernel_may_be_larger_than_the_map(layer):
    layer.build((1, 3, 2, 1))
    set_kernel(layer, 1.0)
    # All six cells lie within three cells of the rows 0 and 2 and of the column 0.
    np.testing.assert_allclose(layer(np.ones((1, 3, 2, 1), "float32"))[0, :, :, 0], [[6], [6]], rtol=1e-6)


@pytest.mark.parametrize("channels", [4, 16])
def test_a_strided_1x1_convolution_takes_every_second_cell(channels):
    layer = ConvNorm(2, 1, stride=2, activation=None, norm=Norm(kind="none"))
    x = np.random.default_rng(0).normal(size=(1, 9, 8, channels)).astype("float32")
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        result = layer(x)
        total = tf.reduce_sum(result * result)
    taken, kernel = x[:, ::2, ::2], np.asarray(layer.conv.kernel)[0, 0]
    np.testing.assert_allclose(result, taken @ kernel, rtol=1e-5, atol=1e-6)
    # Of the sum of squares: 2 * result times what the kernel was multiplied with.
    expected = np.einsum("byxc,byxf->cf", taken, 2 * taken @ kernel)
    gradient = tape.gradient(total, layer.conv.kernel.value)
    np.testing.assert_allclose(gradient[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_dilation_spreads_the_taps():
    layer = ConvNorm(1, 3, dilation=2, norm=NORM)
    layer.build((1, 1, 5, 1))
    set_kernel(layer, 1.0)
    # Taps two cells apart: 1 + 3, 2 + 4, 1 + 3 + 5, 2 + 4, 3 + 5.
    result = layer(np.arange(1, 6, dtype="float32").reshape(1, 1, 5, 1))
    np.testing.assert_allclose(result[0, 0, :, 0], [4, 6, 9, 6, 8], rtol=1e-6)


def test_depthwise_convolutions_keep_channels_apart():
    layer = DepthwiseConvNorm(3, stride=2, norm=NORM)
    layer.build((1, 4, 4, 2))
    set_kernel(layer, 1.0)
    image = np.broadcast_to(np.array([1, 10], "float32"), (1, 4, 4, 2))
    np.testing.assert_allclose(layer(image)[0, 0], [[4, 40], [6, 60]], rtol=1e-6)


def test_separable_convolutions_cut_negative_values_between_their_halves():
    layer = SeparableConvNorm(1, 1, norm=NORM)
    layer.build((1, 1, 2, 1))
    set_kernel(layer.depthwise, -1.0)
    set_kernel(layer.pointwise, 1.0)
    # -1 * (2, -3) = (-2, 3), cut to (0, 3). Without the ReLU in the middle the sum would still be cut, so shift it.
    layer.pointwise.norm.beta.assign([5.0])
    result = layer(np.array([2, -3], "float32").reshape(1, 1, 2, 1))
    np.testing.assert_allclose(result[0, 0, :, 0], [5, 8], rtol=1e-6)


def test_batch_norm_statistics_cover_all_replicas():
    # Two logical devices must be set up before TensorFlow starts, hence another process.
    script = """
        import numpy as np, tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from tfpanoptic.layers.conv import ConvNorm
        from tfpanoptic.layers.norm import Norm
        from tfpanoptic.ops.replicas import replicas_in_sync

        def moving_statistics(strategy, images):
            with strategy.scope():
                layer = ConvNorm(1, 1, norm=Norm(momentum=0.0))
                layer.build((None, 1, 1, 1))
                layer.conv.kernel.assign([[[[1.0]]]])
            per_replica = strategy.experimental_distribute_values_from_function(
                lambda c: np.split(images, strategy.num_replicas_in_sync)[c.replica_id_in_sync_group])
            strategy.run(tf.function(lambda x: layer(x, training=True)), args=(per_replica,))
            return [strategy.reduce("MEAN", v.value, axis=None).numpy()[0] for v in layer.non_trainable_variables]

        mirrored = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
        with mirrored.scope():
            assert replicas_in_sync() == 2
        # Replicas see (0, 2) and (4, 6): mean 3 and variance 5 over all, but a variance of 1 within each.
        images = np.array([0, 2, 4, 6], "float32").reshape(4, 1, 1, 1)
        np.testing.assert_allclose(moving_statistics(mirrored, images), [3, 5], rtol=1e-5)
    """
    finished = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
