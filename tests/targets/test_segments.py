import numpy as np
import tensorflow as tf

from tfpanoptic.targets.segments import pixel_maps, segments_of


def test_a_map_may_have_more_segments_than_most_tables_hold():
    labels = np.arange(1, 363 * 363 + 1, dtype=np.int32).reshape(363, 363)  # 131,769, more than 2**17
    segments = segments_of(tf.constant(labels), (1,))
    (values,) = pixel_maps(tf.constant(labels), segments, segments.labels)
    np.testing.assert_array_equal(values, labels)
