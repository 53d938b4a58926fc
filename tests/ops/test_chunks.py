import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.chunks import TOGETHER, chunked, joined


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
