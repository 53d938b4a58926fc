"""Matrix products as NVIDIA GPUs compute them by default: float32 sums of products of TensorFloat-32."""

import tensorflow as tf
from keras import ops


def tensor_float(x):
    """Float32 with 10 bits behind the leading one, halves to even."""
    bits = tf.bitcast(tf.cast(x, tf.float32), tf.int32)
    even = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, 13), 1)
    return tf.bitcast(tf.bitwise.bitwise_and(bits + 0xFFF + even, ~0x1FFF), tf.float32)


def multiply_tensor_floats(monkeypatch):
    """`keras.ops.matmul` and `keras.ops.einsum` round what they multiply, until the test ends."""
    matmul, einsum = ops.matmul, ops.einsum
    monkeypatch.setattr(ops, "matmul", lambda a, b: matmul(tensor_float(a), tensor_float(b)))
    monkeypatch.setattr(ops, "einsum", lambda terms, *x: einsum(terms, *(tensor_float(part) for part in x)))
