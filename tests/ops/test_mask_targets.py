import numpy as np
import tensorflow as tf

from tests.ops.slow_roi_align import slow_roi_align
from tfpanoptic.ops.mask_targets import mask_targets


def ellipse(height, width, middle, radii):
    y, x = np.mgrid[:height, :width] + 0.5
    return ((y - middle[0]) / radii[0]) ** 2 + ((x - middle[1]) / radii[1]) ** 2 <= 1


def test_a_box_around_a_half_full_square_gives_its_half():
    instance_map = np.zeros((1, 28, 28), "int32")
    instance_map[0, 7:21, 7:14] = 5  # the left half of the box
    found = np.asarray(
        mask_targets(instance_map, np.array([[(7, 7, 21, 21)]], "float32"), np.array([[5]], "int32"), 14)
    )
    # The box has a cell for each pixel; samples in the middle of pixels see no neighbour.
    assert found[0, 0, :, :7].all() and not found[0, 0, :, 7:].any()


def test_masks_are_those_of_a_slow_roi_align():
    instance_map = np.where(ellipse(90, 130, (40, 60), (30, 50)), 2, 0).astype("int32")
    instance_map[60:, 80:] = 9
    boxes = np.array([(5, 3, 77, 120), (-10, 50, 95, 140), (55, 70, 90, 130), (30, 30, 33, 35)], "float32")
    numbers = np.array([2, 2, 9, 2], "int32")
    found = np.asarray(mask_targets(instance_map[None], boxes[None], numbers[None], 28))[0]
    for box, number, mask in zip(boxes, numbers, found, strict=True):
        inside = (instance_map == number).astype("float32")[..., None]
        share = slow_roi_align([inside], box[None], 28, strides=(1,))[0, ..., 0]
        clear = np.abs(share - 0.5) > 1e-4
        np.testing.assert_array_equal(mask[clear], (share >= 0.5)[clear])


def test_each_image_has_its_own_map_and_a_number_that_is_not_there_gives_nothing():
    maps = np.stack([np.full((40, 40), 1), np.full((40, 40), 2)]).astype("int32")
    boxes = np.tile(np.array([[(4, 4, 20, 30)]], "float32"), (2, 3, 1))
    found = np.asarray(mask_targets(maps, boxes, np.array([[1, 2, -1]] * 2, "int32"), 28))
    assert found.mean((2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_it_is_the_same_under_xla():
    instance_map = ellipse(64, 64, (30, 30), (20, 25)).astype("int32")[None]
    boxes, numbers = np.array([[(3, 4, 60, 50), (0, 0, 64, 64)]], "float32"), np.ones((1, 2), "int32")
    compiled = tf.function(lambda *inputs: mask_targets(*inputs, 28), jit_compile=True)
    np.testing.assert_array_equal(
        compiled(instance_map, boxes, numbers), mask_targets(instance_map, boxes, numbers, 28)
    )
