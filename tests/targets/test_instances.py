import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.panoptic_map import encode
from tfpanoptic.targets.instances import instance_targets

SEED = tf.constant([1, 2])
# Things 1 and 3, stuff 2. Two instances of 1 (one on the border), one of 3, a crowd of 1, void.
MAP = np.zeros((6, 8), "int32")
MAP[:, :4] = encode(2, 0)
MAP[1:3, 1:4] = encode(1, 1)
MAP[4:6, 6:8] = encode(1, 2)
MAP[0, 5:7] = encode(3, 1)
MAP[3, 4:6] = encode(1, 0)


def test_boxes_are_tight_and_the_end_is_exclusive():
    found = instance_targets(tf.constant(MAP), (1, 3), SEED, 5)
    boxes = {tuple(box): category for box, category in zip(found["boxes"].numpy(), found["box_category"].numpy())}
    assert boxes == {(1, 1, 3, 4): 1, (4, 6, 6, 8): 1, (0, 5, 1, 7): 3, (0, 0, 0, 0): 0}
    assert found["boxes"].shape == (5, 4) and (found["box_category"].numpy()[3:] == 0).all()


def test_the_map_counts_the_places_from_one_and_leaves_out_crowds_and_stuff():
    found = instance_targets(tf.constant(MAP), (1, 3), SEED, 5)
    numbers = found["instance_map"].numpy()
    for place in range(3):
        y1, x1, y2, x2 = found["boxes"].numpy()[place].astype(int)
        assert (numbers[y1:y2, x1:x2] == place + 1).all()
        assert (numbers == place + 1).sum() == (y2 - y1) * (x2 - x1)
    assert not numbers[3, 4:6].any() and not numbers[5, :4].any()


@pytest.mark.parametrize("limit", [1, 2])
def test_of_more_instances_than_places_a_seeded_choice_stays(limit):
    chosen = set()
    for seed in range(12):
        found = instance_targets(tf.constant(MAP), (1, 3), tf.constant([seed, 0]), limit)
        again = instance_targets(tf.constant(MAP), (1, 3), tf.constant([seed, 0]), limit)
        np.testing.assert_array_equal(found["boxes"], again["boxes"])
        assert (found["box_category"].numpy() > 0).all() and found["instance_map"].numpy().max() == limit
        chosen.add(tuple(found["boxes"].numpy().ravel()))
    assert len(chosen) == 3


def test_an_image_without_instances_has_empty_places():
    found = instance_targets(tf.zeros([4, 4], tf.int32), (1, 3), SEED, 3)
    assert not found["boxes"].numpy().any() and not found["instance_map"].numpy().any()
    assert found["box_category"].numpy().tolist() == [0, 0, 0]
