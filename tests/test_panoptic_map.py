import numpy as np
import pytest

from tfpanoptic.panoptic_map import LABEL_DIVISOR, MAX_CATEGORY, category_of, encode, instance_of


def test_a_label_is_category_times_ten_thousand_plus_instance():
    assert encode(13, 3) == 130_003


@pytest.mark.parametrize("category, instance", [(0, 0), (1, 0), (13, 3), (MAX_CATEGORY, LABEL_DIVISOR - 1)])
def test_decoding_gives_back_what_was_encoded(category, instance):
    label = encode(np.int32(category), np.int32(instance))
    assert (category_of(label), instance_of(label)) == (category, instance)


def test_the_largest_label_is_exact_in_float32():
    label = encode(MAX_CATEGORY, LABEL_DIVISOR - 1)
    assert int(np.float32(label)) == label < 2**24


def test_tensors_decode_as_arrays_do():
    import tensorflow as tf

    label = tf.constant([[0, 20_000, 130_003]])
    np.testing.assert_array_equal(category_of(label), [[0, 2, 13]])
    np.testing.assert_array_equal(instance_of(label), [[0, 0, 3]])
