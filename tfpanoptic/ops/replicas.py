"""The replicas that train in step, on the backend in use."""

from __future__ import annotations

import itertools
import weakref

import keras
from keras import ops

# Numbers that the messages of one strategy have for their own.
_MESSAGES = 1_000_000
_numbered: weakref.WeakSet = weakref.WeakSet()
_numbers = itertools.count(1)


def replicas_in_sync() -> int:
    """Number of replicas of the current `tf.distribute` strategy; 1 on the other backends."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def global_sums(values: dict) -> dict:
    """Each value summed over its own elements and over all replicas: one message, whatever their number.

    Args:
        values: name -> float32 tensor of any shape.

    Returns:
        name -> float32 scalar, the same on every replica.
    """
    sums = {name: ops.sum(value) for name, value in values.items()}
    if replicas_in_sync() == 1:
        return sums
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stack(list(sums.values())))
    return dict(zip(sums, tf.unstack(total), strict=True))


def with_an_image(batch: dict) -> dict:
    """A batch of which this replica has no image as one with an image of zeros; any other as it is.

    A strategy gives replicas an empty part where a last batch is too small, and many layers fail on it. Not for
    training: the image would take part in the statistics of a batch.

    Args:
        batch: name -> tensor `[B, ...]`, or such a dict.
    """
    if replicas_in_sync() == 1:
        return batch
    return {name: with_an_image(part) if isinstance(part, dict) else never_empty(part) for name, part in batch.items()}


def never_empty(x):
    """`x` `[B, ...]` where B is not 0, else one of zeros `[1, ...]`."""
    count = ops.shape(x)[0]
    if isinstance(count, int) and count > 0:
        return x
    return ops.pad(x, ((0, ops.maximum(1 - count, 0)), *((0, 0),) * (len(x.shape) - 1)))


def separate_messages() -> None:
    """Numbers the messages between the replicas of the current `MirroredStrategy` apart from those of all others.

    Each strategy object numbers its messages from the same start, and TensorFlow remembers the shape of every number
    for as long as the process lives. A second strategy over the same devices, as of a `fit` and a training after it,
    then fails on the first message of another shape (`Shape mismatch in the collective instance`), or two of them mix.
    The numbers have no public name; where TensorFlow has changed them, nothing is done.
    """
    if replicas_in_sync() == 1:
        return
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MirroredStrategy) or strategy in _numbered:
        return
    _numbered.add(strategy)
    start = next(_numbers) * _MESSAGES
    for group in getattr(getattr(strategy.extended, "_collective_keys", None), "_instance_key_table", {}).values():
        for device in group:
            group[device] += start
