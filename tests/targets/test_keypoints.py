import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.targets.keypoints import deeperlab_targets, nearest_disks

THING, STUFF = 1, 2
A, B, C, CROWD, GRASS = 10_001, 10_002, 10_003, 10_000, 20_000


def targets(rows, **settings):
    settings = {"radius": 1, "max_instances": 3, **settings}
    made = deeperlab_targets(tf.constant(rows, tf.int32), (THING,), **settings)
    return {name: value.numpy() for name, value in made.items()}


def test_keypoints_are_the_outermost_pixels_and_the_mean_pixel():
    made = targets([[0, 0, 0, 0], [0, A, A, A], [0, A, 0, 0]])
    # Rows 1 to 2, columns 1 to 3; the mean of (1,1) (1,2) (1,3) (2,1) is (1.25, 1.75), rounded (1, 2).
    np.testing.assert_array_equal(made["keypoints"][0], [[1, 1], [1, 3], [2, 1], [2, 3], [1, 2]])
    assert not made["keypoints"][1:].any()


def test_places_go_to_the_largest_instances():
    made = targets([[A, B, B, C, C, C, GRASS]], max_instances=2)
    np.testing.assert_array_equal(made["instance"], [[-1, 1, 1, 0, 0, 0, -1]])
    np.testing.assert_array_equal(made["keypoint_weight"], [[0, 1, 1, 1, 1, 1, 1]])
    np.testing.assert_array_equal(made["semantic"], [[1, 1, 1, 1, 1, 1, 2]])


def test_a_disk_reaches_as_far_as_its_radius_and_out_of_its_instance():
    made = targets([[GRASS] * 5, [GRASS] * 5, [GRASS, GRASS, A, GRASS, GRASS], [GRASS] * 5, [GRASS] * 5], radius=2)
    expected = np.hypot(*(np.mgrid[:5, :5] - 2)) <= 2
    for keypoint in range(5):
        np.testing.assert_array_equal(made["disk"][..., keypoint] == 0, expected)
    assert made["disk"].min() == -1


def test_a_pixel_in_two_disks_belongs_to_the_nearer_keypoint_and_to_the_first_of_equal_ones():
    disks = nearest_disks(tf.constant([[[0, 1]], [[0, 5]]]), 1, 8, radius=3)
    # Pixel 3 is 2 from both; 8 would be 3 from the second.
    np.testing.assert_array_equal(disks[0, :, 0], [0, 0, 0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize("seed", range(3))
def test_disks_are_those_of_a_plain_search(seed):
    random = np.random.default_rng(seed)
    keypoints = np.stack([random.integers(0, 15, (6, 5)), random.integers(0, 20, (6, 5))], axis=-1).astype(np.int32)
    made = nearest_disks(tf.constant(keypoints), 15, 20, radius=4).numpy()
    pixel = np.stack(np.mgrid[:15, :20], axis=-1)[:, :, None, None]
    square = ((pixel - keypoints.transpose(1, 0, 2)) ** 2).sum(-1)  # [H, W, 5, n]
    np.testing.assert_array_equal(made, np.where(square.min(-1) <= 16, square.argmin(-1), -1))


def test_a_crowd_and_void_teach_no_keypoint():
    made = targets([[CROWD, CROWD, GRASS, 0]])
    assert (made["instance"] == -1).all() and (made["disk"] == -1).all()
    np.testing.assert_array_equal(made["keypoint_weight"], [[0, 0, 1, 0]])
    np.testing.assert_array_equal(made["semantic"], [[THING, THING, STUFF, 0]])


def test_small_instances_weigh_more_in_the_semantic_loss():
    made = targets([[A, A, A, B, B, GRASS]], small_instance_area=3, small_instance_weight=5.0)
    np.testing.assert_array_equal(made["semantic_weight"], [[1, 1, 1, 5, 5, 1]])


def test_shapes_and_dtypes_hold_inside_a_dataset():
    data = tf.data.Dataset.from_tensors(np.array([[A, GRASS, 0], [A, 0, 0]], np.int32))
    data = data.map(lambda panoptic: deeperlab_targets(panoptic, (THING,), max_instances=7))
    shapes = {name: (spec.shape.as_list(), spec.dtype) for name, spec in data.element_spec.items()}
    assert shapes == {
        "semantic": ([2, 3], tf.int32),
        "semantic_weight": ([2, 3], tf.float32),
        "keypoints": ([7, 5, 2], tf.int32),
        "instance": ([2, 3], tf.int32),
        "disk": ([2, 3, 5], tf.int32),
        "keypoint_weight": ([2, 3], tf.float32),
    }
    made = next(iter(data))
    np.testing.assert_array_equal(made["instance"], [[0, -1, -1], [0, -1, -1]])
