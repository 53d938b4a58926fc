import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfpanoptic.ops.chunks import TOGETHER, chunked, joined, map_chunks
from tfpanoptic.ops.device_operators import for_devices


# The last ones: attention along the width of 257 rows of 1025 cells with a span, and no row at all.
@pytest.mark.parametrize(("count", "numbers"), [(7, 1), (7, TOGETHER // 3), (7, 2 * TOGETHER), (257, 811_008), (0, 5)])
@pytest.mark.parametrize("known", [True, False])
def test_no_chunk_is_of_padding_alone_or_larger_than_it_may(count, numbers, known):
    x = np.arange(3 * count, dtype="float32").reshape(count, 3)
    chunks = chunked(x, *((count, numbers) if known else (tf.constant(count), tf.constant(numbers))))
    number, together, _ = chunks.shape
    assert together == 1 or together * numbers <= TOGETHER
    assert 0 <= number * together - count < together
    np.testing.assert_array_equal(joined(chunks, count), x)


@pytest.mark.parametrize("size", [None, 3])
def test_chunks_are_mapped_on_devices_as_elsewhere(size):
    arrays = (np.arange(12, dtype=np.float32).reshape(3, 4), np.array([1, 2, 3], np.int32))

    def work(chunk):
        values, number = chunk
        return values * ops.cast(number, "float32"), number + 1

    @tf.function(input_signature=[tf.TensorSpec([size, 4]), tf.TensorSpec([size], tf.int32)])
    def on_device(values, numbers):
        with for_devices():
            return map_chunks(work, (values, numbers))

    products, numbers = on_device(*arrays)
    np.testing.assert_array_equal(products, arrays[0] * np.array([[1], [2], [3]]))
    np.testing.assert_array_equal(numbers, [2, 3, 4])
