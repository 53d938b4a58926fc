import numpy as np
import pytest
import tensorflow as tf

from tests.ops.slow_roi_align import STRIDES, slow_roi_align
from tfpanoptic.ops.roi_align import roi_align
from tfpanoptic.ops.roi_windows import level_of_boxes

# An image of 160 x 224 pixels; boxes inside, over each border, far outside, tiny, without area, long and high.
SIZE = (160, 224)
BOXES = np.array(
    [
        (10, 20, 60, 90),
        (-40.5, -30.2, 30, 50),
        (100, 150, 200.7, 300),
        (400, 500, 450, 580),
        (-90, 20, -60, 60),
        (50, 60, 50.8, 61.1),
        (30, 30, 30, 80),
        (2, 3, 7, 221),
        (3, 100, 158, 109),
        (0, 0, 160, 224),
        (-300, -300, 500, 600),
        (77.3, 11.9, 140.1, 33.4),
    ],
    "float32",
)


def pyramid(batch=1, depth=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(batch, SIZE[0] // s, SIZE[1] // s, depth)).astype("float32") for s in STRIDES]


@pytest.mark.parametrize(
    ("size", "sampling_ratio", "aligned"), [(7, 0, True), (14, 0, True), (7, 2, False), (3, 1, True), (5, 8, False)]
)
def test_it_is_the_mean_of_the_samples(size, sampling_ratio, aligned):
    levels = pyramid()
    found = roi_align(levels, STRIDES, BOXES[None], size, sampling_ratio, aligned)
    expected = slow_roi_align([level[0] for level in levels], BOXES, size, sampling_ratio, aligned)
    np.testing.assert_allclose(found[0], expected, atol=2e-5)


def test_each_image_has_its_own_features_and_boxes():
    levels = pyramid(batch=2)
    boxes = np.stack([BOXES, BOXES[::-1]])
    found = roi_align(levels, STRIDES, boxes, 7)
    for image in range(2):
        alone = roi_align([level[image : image + 1] for level in levels], STRIDES, boxes[image : image + 1], 7)
        np.testing.assert_allclose(found[image], alone[0], atol=1e-6)


def test_levels_are_those_of_the_paper():
    # 224 goes to stride 16, half of it one finer, twice one coarser; the ends take the rest.
    sides = [1, 55, 111, 112, 223, 224, 447, 448, 2000]
    boxes = np.array([[(0, 0, side, side) for side in sides]], "float32")
    assert np.asarray(level_of_boxes(boxes, STRIDES)).tolist() == [[0, 0, 0, 1, 1, 2, 2, 3, 3]]


def test_the_gradient_is_the_transpose_of_the_forward_pass():
    # For a linear map A: <A f, u> = <f, A^T u>, for any f and u.
    levels = [tf.constant(level) for level in pyramid(batch=2)]
    boxes = np.stack([BOXES, BOXES[::-1]])
    upstream = np.random.default_rng(1).normal(size=(2, len(BOXES), 7, 7, 3)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(levels)
        total = tf.reduce_sum(roi_align(levels, STRIDES, boxes, 7) * upstream)
    gradients = tape.gradient(total, levels)
    other = pyramid(batch=2, seed=5)
    forward = float(tf.reduce_sum(roi_align(other, STRIDES, boxes, 7) * upstream))
    backward = sum(float(np.sum(gradient * level)) for gradient, level in zip(gradients, other, strict=True))
    assert forward == pytest.approx(backward, rel=1e-4)


def test_a_feature_without_a_box_gets_no_gradient():
    levels = [tf.constant(level) for level in pyramid()]
    with tf.GradientTape() as tape:
        tape.watch(levels)
        total = tf.reduce_sum(roi_align(levels, STRIDES, BOXES[None, :1], 7))  # rows 2.5 to 15 of the finest level
    gradients = tape.gradient(total, levels)
    touched = np.flatnonzero(np.abs(gradients[0][0]).sum((1, 2)))
    assert touched.min() == 2 and touched.max() == 15
    assert all(not np.any(gradient) for gradient in gradients[1:])


def test_more_boxes_than_fit_in_a_chunk():
    rng = np.random.default_rng(3)
    low = rng.uniform(-10, 120, (1, 150, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 90, (1, 150, 2))], axis=-1).astype("float32")
    levels = pyramid()
    found = roi_align(levels, STRIDES, boxes, 2)
    expected = slow_roi_align([level[0] for level in levels], boxes[0], 2)
    np.testing.assert_allclose(found[0], expected, atol=2e-5)


def test_values_and_gradients_are_the_same_under_xla_and_for_unknown_sizes():
    levels = [tf.constant(level) for level in pyramid()]

    def values(*levels):
        with tf.GradientTape() as tape:
            tape.watch(levels)
            pooled = roi_align(list(levels), STRIDES, BOXES[None], 7)
            total = tf.reduce_sum(pooled**2)
        return pooled, tape.gradient(total, levels)

    expected = values(*levels)
    unknown = [tf.TensorSpec([None, None, None, 3])] * 4
    for function in (tf.function(values, jit_compile=True), tf.function(values, input_signature=unknown)):
        for ours, theirs in zip(tf.nest.flatten(function(*levels)), tf.nest.flatten(expected), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_half_precision_features_are_pooled_in_float32():
    levels = [tf.cast(level, "bfloat16") for level in pyramid()]
    with tf.GradientTape() as tape:
        tape.watch(levels)
        pooled = roi_align(levels, STRIDES, BOXES[None], 7)
        total = tf.reduce_sum(pooled)
    assert pooled.dtype == tf.float32 and tape.gradient(total, levels)[0].dtype == tf.bfloat16
