import numpy as np
import tensorflow as tf

from tfpanoptic.ops.valid import valid_pixels


def test_the_top_left_part_of_each_image_is_valid():
    valid = valid_pixels(np.array([[2, 1], [1, 3]], np.int32), (2, 3))
    assert np.asarray(valid).astype(int).tolist() == [[[1, 0, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]]
    assert np.asarray(valid).dtype == bool


def test_an_image_without_padding_is_all_valid_and_one_of_no_size_is_none():
    valid = np.asarray(valid_pixels(np.array([[3, 4], [0, 4], [3, 0]], np.int32), (3, 4)))
    assert valid.all(axis=(1, 2)).tolist() == [True, False, False]
    assert valid.any(axis=(1, 2)).tolist() == [True, False, False]


def test_sizes_may_be_known_only_at_run_time():
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, 2], tf.int32)])
    def counted(image, valid_size):
        valid = valid_pixels(valid_size, tf.unstack(tf.shape(image)[1:3]))
        return tf.math.count_nonzero(valid, axis=(1, 2))

    assert counted(tf.zeros([2, 5, 7, 3]), [[5, 7], [2, 3]]).numpy().tolist() == [35, 6]
