import numpy as np
import tensorflow as tf

from tfpanoptic.targets.category_tables import by_category, is_thing


def test_categories_become_channels_and_unknown_ones_nothing():
    table = np.array([-1, 0, 2, 0, -1], "int32")
    found = by_category(tf.constant([[0, 10_000, 10_003, 20_000, 990_000]]), table)
    assert found.numpy().tolist() == [[-1, 0, 0, 2, -1]]


def test_instances_and_crowds_are_of_things_and_void_stuff_and_unknown_ids_are_not():
    found = is_thing(tf.constant([10_001, 30_000, 0, 20_000, 990_001]), (1, 3))
    assert found.numpy().tolist() == [True, True, False, False, False]
    assert is_thing(tf.constant([0, 10_001]), ()).numpy().tolist() == [False, False]
