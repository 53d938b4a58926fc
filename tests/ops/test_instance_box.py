import numpy as np
import pytest
import tensorflow as tf

from tests.fixtures.upsnet.scene import CHANNELS, SEMANTIC_LOGITS, STORED, box_category, boxes, detections
from tfpanoptic.ops.instance_box import last_pixel_ends, pasted_logits, semantic_cells


def box(y0, x0, y1, x1):
    """A box whose last pixels are y1 and x1, as ours."""
    return np.array([[y0, x0, y1 + 1, x1 + 1]], np.float32)


def cells(*ends, size=(8, 9), stride=1):
    """The first and last row and column of the semantic rule."""
    rows, columns = np.asarray(semantic_cells(box(*ends), size, stride))[0].nonzero()
    return (rows[0], rows[-1]), (columns[0], columns[-1])


def test_the_last_pixel_is_divided_by_the_stride_afterwards():
    # (20 - 1) / 4 and (41 - 1) / 4.
    np.testing.assert_array_equal(last_pixel_ends(np.array([8.0, 10.0, 20.0, 41.0]), 4), [2, 2.5, 4.75, 10])


def test_semantic_cells_reach_from_the_truncated_to_the_rounded_end():
    assert cells(1.9, 2.9, 4.4, 5.6) == ((1, 4), (2, 6))


def test_half_ends_are_rounded_to_the_even_number():
    assert cells(0, 0, 2.5, 3.5) == ((0, 2), (0, 4))


def test_boxes_are_cut_at_the_border():
    assert cells(-3, -0.5, 40, 2) == ((0, 7), (0, 2))


def test_pasted_logits_cover_the_truncated_box_alone():
    # Rows 1..4 and columns 2..5.
    pasted = pasted_logits(box(1.9, 2.9, 4.9, 5.9), np.ones((1, 4, 4), np.float32), (8, 9))
    expected = np.zeros((1, 8, 9))
    expected[0, 1:5, 2:6] = 1
    np.testing.assert_array_equal(pasted, expected)


def test_masks_are_enlarged_with_half_pixel_centres_and_repeated_edges():
    mask = np.array([[[0, 4], [0, 4]]], np.float32)
    # Four columns for two: cells at -0.25, 0.25, 0.75 and 1.25, cut to 0..1.
    pasted = pasted_logits(box(0, 1, 0, 4), mask, (1, 6))
    np.testing.assert_allclose(pasted, [[[0, 0, 1, 3, 4, 0]]], atol=1e-6)


def test_a_box_of_no_extent_has_one_cell():
    mask = np.full((1, 2, 2), 3.0, np.float32)
    pasted = pasted_logits(np.array([[1, 2, 1, 2.5]], np.float32), mask, (3, 4))  # its last pixel is before its first
    np.testing.assert_array_equal(pasted[0], [[0, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(("half", "stride"), [("inference", 1), ("training", 4)])
def test_instance_logits_of_the_stored_scene(half, stride):
    kept = STORED[f"{half}/kept"]
    size = SEMANTIC_LOGITS.shape[1:3]
    mask_logits = STORED[f"{half}/mask_logits"][None]
    pasted = pasted_logits(boxes(half), mask_logits, size, stride).numpy()[0, kept]
    inside = semantic_cells(boxes(half), size, stride).numpy()[0, kept]
    channel = [CHANNELS.index(category) for category in box_category(half)[0, kept]]
    of_class = SEMANTIC_LOGITS[0].transpose(2, 0, 1)[channel]
    part = np.where(inside, of_class, 0)
    np.testing.assert_allclose(part + pasted, STORED[f"{half}/instance_logits"], atol=2e-5)
    if half == "inference":
        np.testing.assert_allclose(pasted, STORED["inference/pasted_mask_logits"], atol=2e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_sizes_known_only_when_run_and_xla_give_the_same_cells(compiled):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None, 28, 28]),
            tf.TensorSpec([None, None]),
        ],
        jit_compile=compiled,
    )
    def traced(boxes, mask_logits, like):
        size = tf.unstack(tf.shape(like))
        return semantic_cells(boxes, size, 4), pasted_logits(boxes, mask_logits, size, 4)

    made = detections()
    inputs = made["boxes"], made["mask_logits"]
    expected = semantic_cells(inputs[0], (3, 4), 4), pasted_logits(*inputs, (3, 4), 4)
    for ours, theirs in zip(traced(*inputs, np.zeros((3, 4), np.float32)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
