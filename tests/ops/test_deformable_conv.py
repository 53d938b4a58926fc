import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.deformable_conv import deformable_conv, deformable_conv_of_maps

# (side of the kernel, dilation)
KERNELS = [(3, 1), (3, 2), (5, 1), (1, 1)]


def random_inputs(side, size=(5, 6), reach=3.0, batch=2, channels=3, filters=4):
    random = np.random.default_rng(0)
    return (
        random.normal(size=(batch, *size, channels)).astype(np.float32),
        random.uniform(-reach, reach, (batch, *size, 2 * side * side)).astype(np.float32),
        random.normal(size=(side, side, channels, filters)).astype(np.float32),
    )


def slow_sample(image, y, x):
    """One sample of the published rule: 0 unless -1 < y < H and -1 < x < W, corners outside count as 0."""
    height, width, channels = image.shape
    value = np.zeros(channels)
    if not (-1 < y < height and -1 < x < width):
        return value
    top, left = int(np.floor(y)), int(np.floor(x))
    for row, column in itertools.product((top, top + 1), (left, left + 1)):
        if 0 <= row < height and 0 <= column < width:
            value += (1 - abs(y - row)) * (1 - abs(x - column)) * image[row, column]
    return value


def slow_deformable_conv(x, offset, kernel, dilation):
    batch, height, width, _ = x.shape
    side = len(kernel)
    result = np.zeros((batch, height, width, kernel.shape[-1]))
    for b, h, w, i, j in itertools.product(*(range(n) for n in (batch, height, width, side, side))):
        dy, dx = offset[b, h, w, 2 * (i * side + j) :][:2]
        at = h + (i - side // 2) * dilation + dy, w + (j - side // 2) * dilation + dx
        result[b, h, w] += slow_sample(x[b], *at) @ kernel[i, j]
    return result


@pytest.mark.parametrize(("side", "dilation"), KERNELS)
def test_without_offsets_it_is_a_plain_convolution(side, dilation):
    x, offset, kernel = random_inputs(side)
    plain = keras.ops.conv(x, kernel, padding="same", dilation_rate=dilation)
    np.testing.assert_allclose(deformable_conv(x, 0 * offset, kernel, dilation), plain, atol=1e-5)


@pytest.mark.parametrize(("side", "dilation"), KERNELS)
def test_offsets_inside_and_outside_the_map_follow_the_published_rule(side, dilation):
    x, offset, kernel = random_inputs(side)
    expected = slow_deformable_conv(x, offset, kernel, dilation)
    np.testing.assert_allclose(deformable_conv(x, offset, kernel, dilation), expected, atol=1e-5)


def test_the_first_offset_of_a_tap_moves_it_down_and_the_second_to_the_right():
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1  # tap 4: channels 8 and 9
    offset = np.zeros((1, 3, 4, 18), np.float32)
    offset[..., 8], offset[..., 9] = 0.5, 2.0
    # Row 0 of (0, 1, 2, 3): between 2 and 6, between 3 and 7, then outside; the last row keeps half of 10 and 11.
    made = deformable_conv(x, offset, kernel)[0, ..., 0]
    np.testing.assert_allclose(made, [[4, 5, 0, 0], [8, 9, 0, 0], [5, 5.5, 0, 0]])


def test_places_far_outside_count_as_nothing():
    x, offset, kernel = random_inputs(3)
    np.testing.assert_array_equal(deformable_conv(x, offset + 1e12, kernel), np.zeros((2, 5, 6, 4)))


def test_gradients_are_those_of_finite_differences():
    # Places at least 0.1 from a row or column of cells, where the interpolation bends.
    x, offset, kernel = random_inputs(3, size=(3, 4), batch=1, channels=2, filters=2)
    offset = np.floor(offset) + np.random.default_rng(1).uniform(0.1, 0.9, offset.shape).astype(np.float32)
    inputs = [x, offset, kernel]
    variables = [tf.constant(value) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        total = tf.reduce_sum(deformable_conv(*variables) ** 2)
    random = np.random.default_rng(2)
    for which, gradient in enumerate(tape.gradient(total, variables)):
        for flat in random.choice(inputs[which].size, 8, replace=False):
            ends = []
            for step in (1e-4, -1e-4):
                moved = [value.astype(np.float64) for value in inputs]
                moved[which].flat[flat] += step
                ends.append((slow_deformable_conv(*moved, 1) ** 2).sum())
            expected = (ends[0] - ends[1]) / 2e-4
            np.testing.assert_allclose(gradient.numpy().flat[flat], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("compiled", [False, True])
def test_sizes_known_only_when_run_and_xla_give_the_same_values_and_gradients(compiled):
    def loss_and_gradients(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            made = deformable_conv(*inputs)
            total = tf.reduce_sum(made**2)
        return made, *tape.gradient(total, inputs)

    shapes = [None, None, None, 3], [None, None, None, 18], [3, 3, 3, 4]
    signature = [tf.TensorSpec(shape) for shape in shapes]
    inputs = [tf.constant(value) for value in random_inputs(3)]
    traced = tf.function(loss_and_gradients, input_signature=signature, jit_compile=compiled)(*inputs)
    for ours, expected in zip(traced, loss_and_gradients(*inputs), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_maps_are_read_at_float32_places():
    x, offset, kernel = random_inputs(3)
    x, kernel = (tf.cast(value, tf.bfloat16) for value in (x, kernel))
    made = deformable_conv(x, offset, kernel)
    assert made.dtype == tf.bfloat16
    expected = deformable_conv(tf.cast(x, tf.float32), offset, tf.cast(kernel, tf.float32))
    # Nine rounded products, each of three channels: far below what rounded places would do (0.5 cells at 64).
    np.testing.assert_allclose(tf.cast(made, tf.float32), expected, atol=0.1)


def test_on_a_line_of_cells_the_gradient_is_that_of_the_next_cell():
    """Offsets start at 0, where every place lies on a line: half of the gradient there would be a wrong one."""
    x = np.array([1.0, 4.0, 9.0, 16.0], np.float32).reshape(1, 1, 4, 1)
    offset = tf.zeros([1, 1, 4, 2])
    with tf.GradientTape() as tape:
        tape.watch(offset)
        total = tf.reduce_sum(deformable_conv(x, offset, np.ones((1, 1, 1, 1), np.float32)))
    gradient = tape.gradient(total, offset)[0, 0]
    # To the right: 4 - 1, 9 - 4, 16 - 9, 0 - 16; down: nothing below.
    np.testing.assert_allclose(gradient, [[-1, 3], [-4, 5], [-9, 7], [-16, -16]])


def test_maps_of_several_sizes_at_once_are_those_one_after_the_other():
    first, offset, kernel = random_inputs(3)
    second, other, _ = random_inputs(3, size=(2, 9))
    together = deformable_conv_of_maps([first, second], [offset, other], kernel)
    for made, alone in zip(together, ((first, offset), (second, other)), strict=True):
        np.testing.assert_allclose(made, deformable_conv(*alone, kernel), atol=1e-6)
