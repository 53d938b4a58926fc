"""Random numbers that are a function of an image's seed: the same on TensorFlow, JAX and PyTorch.

A generator with state gives other numbers on two replicas than on one device, and after a resume. Here a number is an
integer hash of the image's seed and of its place, so none of that matters. int32 arithmetic wraps around alike on all
backends.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

# Source: the finalizer of MurmurHash3 (Appleby), whose steps are invertible, so different places of one image never
# share a number.
_FIRST, _SECOND = (np.uint32(value).astype(np.int32) for value in (0x85EBCA6B, 0xC2B2AE35))
# 2**32 divided by the golden ratio, odd: sets draws of one image apart. Source: Knuth, TAOCP 3, section 6.4.
_DRAW = 0x9E3779B1
_LOWEST = -(2**31)


def random_bits(seed, count, draw: int = 0):
    """int32 `[B, count]`, uniform over all of int32; the numbers of an image all differ.

    Args:
        seed: int32 `[B, 2]`, of each image.
        count: how many, an int or a scalar int32 tensor.
        draw: sets draws of one network apart: give every use its own number.
    """
    offset = (((draw + 1) * _DRAW + 2**31) % 2**32) - 2**31  # as int32; never 0, which the hash would leave as it is
    key = _mixed(seed[:, 0] + np.int32(offset)) ^ seed[:, 1]
    place = ops.expand_dims(ops.arange(count, dtype="int32"), 0)
    return _mixed(_mixed(place ^ ops.expand_dims(_mixed(key), 1)) ^ ops.expand_dims(key, 1))


def random_uniform(seed, shape: tuple, draw: int = 0):
    """float32 `[B, *shape]` in [0, 1), multiples of 2**-24.

    Args:
        seed: int32 `[B, 2]`, of each image.
        shape: of one image's numbers, ints or scalar int32 tensors.
        draw: as in `random_bits`.
    """
    bits = random_bits(seed, math.prod(shape), draw)
    values = ops.cast(_shifted(bits, 8), "float32") * 2.0**-24
    return ops.reshape(values, (ops.shape(seed)[0], *shape))


def choose(seed, candidates, count: int, limit=None, draw: int = 0):
    """A uniform choice of at most `count` of each image's candidates, in random order.

    Args:
        seed: int32 `[B, 2]`, of each image.
        candidates: bool `[B, N]`.
        count: places of the result.
        limit: int32 `[B]`, at most so many of each image; None stands for `count`.
        draw: as in `random_bits`.

    Returns:
        `index` int32 `[B, count]`, 0..N - 1, 0 where nothing was chosen, and
        `chosen` bool `[B, count]`, True first.
    """
    places = candidates.shape[1] or ops.shape(candidates)[1]
    priority = ops.where(candidates, random_bits(seed, places, draw), _LOWEST)
    # There may be fewer candidates than places.
    spare = ops.full((ops.shape(seed)[0], count), _LOWEST, dtype="int32")
    best, index = ops.top_k(ops.concatenate([priority, spare], axis=1), count)
    chosen = best > _LOWEST
    if limit is not None:
        rank = ops.expand_dims(ops.arange(count, dtype="int32"), 0)
        chosen = ops.logical_and(chosen, rank < ops.expand_dims(limit, 1))
    return ops.where(chosen, ops.cast(index, "int32"), 0), chosen


def _mixed(x):
    """A bijection of int32 that leaves no pattern of its input. Source: see `_FIRST`."""
    x = _product(x ^ _shifted(x, 16), _FIRST)
    x = _product(x ^ _shifted(x, 13), _SECOND)
    return x ^ _shifted(x, 16)


def _product(x, factor: np.int32):
    """int32 `x` times `factor`, modulo 2**32."""
    if keras.backend.backend() != "tensorflow":
        return x * factor
    import tensorflow as tf

    # TensorFlow multiplies int32 on the host, even of tensors on a GPU, and int64 where they are.
    return tf.cast(tf.cast(x, tf.int64) * tf.constant(int(factor), tf.int64), tf.int32)


def _shifted(x, bits: int):
    """int32 shifted right, zeros coming in from the left as if it were unsigned."""
    return ops.bitwise_and(ops.right_shift(x, bits), (1 << (32 - bits)) - 1)
