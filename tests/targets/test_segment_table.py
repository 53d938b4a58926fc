import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.panoptic_map import encode
from tfpanoptic.targets.segment_table import segment_targets

SEED = tf.constant([3, -4])
# Things 1 and 3, stuff 2 and 4. By first pixels: stuff 2 (18 pixels), thing 3 (2), stuff 4 (2), thing 1 (4 and 3).
MAP = np.zeros((6, 8), "int32")
MAP[:, :4] = encode(2, 0)
MAP[0, 5:7] = encode(3, 1)
MAP[1, 6:8] = encode(4, 0)
MAP[3, 0:2] = encode(1, 1)
MAP[4, 2:4] = encode(1, 1)
MAP[4:6, 6] = MAP[5, 7] = encode(1, 2)
MAP[3, 4:6] = encode(1, 0)  # a crowd
MAP[5, 0:2] = 0  # void


def targets(panoptic=MAP, seed=SEED, max_segments=7):
    found = segment_targets(tf.constant(panoptic), (1, 3), seed, max_segments)
    return {name: value.numpy() for name, value in found.items()}


def test_things_and_stuff_have_places_and_void_and_crowds_have_none():
    found = targets()
    assert found["segment_category"].tolist() == [2, 3, 4, 1, 1, 0, 0]
    expected = np.zeros_like(MAP)
    for place, label in enumerate((encode(2, 0), encode(3, 1), encode(4, 0), encode(1, 1), encode(1, 2)), start=1):
        expected[label == MAP] = place
    np.testing.assert_array_equal(found["segment_map"], expected)
    assert all(value.dtype == np.int32 for value in found.values())


def test_the_smallest_segments_are_left_out_the_later_of_equal_ones_first():
    found = targets(max_segments=4)
    assert found["segment_category"].tolist() == [2, 3, 1, 1]
    assert not found["segment_map"][encode(4, 0) == MAP].any()
    assert (found["segment_map"][encode(1, 2) == MAP] == 4).all()
    assert targets(max_segments=1)["segment_category"].tolist() == [2]


def test_an_image_without_segments_has_empty_places():
    for panoptic in (np.zeros((4, 5), np.int32), np.full((4, 5), encode(1, 0))):
        found = targets(panoptic.astype(np.int32))
        assert not found["segment_map"].any() and found["segment_category"].tolist() == [0] * 7


def test_the_seed_is_passed_on():
    assert targets()["point_seed"].tolist() == [3, -4]


@pytest.mark.parametrize("size", [(6, 8), (256, 200)])
def test_shapes_are_known_inside_a_dataset(size):
    panoptic = np.resize(MAP, size)
    data = tf.data.Dataset.from_tensors(panoptic).map(lambda example: segment_targets(example, (1, 3), SEED, 7))
    assert {name: tuple(spec.shape) for name, spec in data.element_spec.items()} == {
        "segment_map": size,
        "segment_category": (7,),
        "point_seed": (2,),
    }
    (found,) = data
    for name, value in targets(panoptic).items():
        np.testing.assert_array_equal(found[name], value)
