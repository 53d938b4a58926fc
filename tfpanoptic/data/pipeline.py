"""Training batches of a dataset.

The batch of a training step is a function of the seed and the step: the order of an epoch is a stateless
permutation, every image's randomness a stateless seed. A run resumes by its step alone.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfpanoptic.data.augment import AugmentConfig, augment
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.examples import decoded_bytes, file_reader, memory_reader
from tfpanoptic.data.input_size import InputConfig, padded_side, resized_size, size_rule
from tfpanoptic.errors import SettingError

# Decoded datasets up to this size stay in memory. Own choice: 700 images of 320 x 320.
MEMORY_LIMIT = 512 << 20


def training_batches(
    dataset: Dataset,
    input_config: InputConfig,
    augment_config: AugmentConfig,
    target_fn: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    batch_size: int,
    seed: int,
    start_step: int = 0,
    *,
    worker: int = 0,
    workers: int = 1,
    parallel_calls: int = tf.data.AUTOTUNE,
    memory_limit: int = MEMORY_LIMIT,
) -> tf.data.Dataset:
    """Endless training batches, from step `start_step` on.

    Args:
        dataset: the training images.
        input_config: the input-size policy; its resize comes before the random scale.
        augment_config: its `crop` is the size of the batches' images.
        target_fn: panoptic map int32 `[h, w]` -> dict of training targets.
        batch_size: of the whole batch, over all workers.
        seed: of order and augmentation.
        start_step: the first step; the batch of a step does not depend on it.
        worker: which part of every batch to return, of `workers` equal ones.
        workers: number of parts.
        parallel_calls: images prepared at a time; has no influence on the result.
        memory_limit: a dataset that takes at most this many bytes decoded is decoded once; no influence on the result.

    Returns:
        Batches of `batch_size / workers` images, each a dict:
            `image` float32 `[B, h, w, 3]`, RGB 0..255
            `panoptic` int32 `[B, h, w]`
            `valid_size` int32 `[B, 2]`, (height, width) of the part that is no padding
            `original_size` int32 `[B, 2]`, (height, width) of the file
            `targets`, what `target_fn` returned, batched.

    Raises:
        InputError: wrong files (as `file_reader`).
        SettingError: a crop that the policy's stride does not fit.
        ValueError: `batch_size` is not a multiple of `workers`.
    """
    if batch_size % workers:
        raise ValueError(f"batch_size must be a multiple of the {workers} workers, got {batch_size}")
    _require_fitting_crop(augment_config.crop, input_config)
    read = (memory_reader if decoded_bytes(dataset) <= memory_limit else file_reader)(dataset)

    def example(position: tf.Tensor) -> dict:
        image, panoptic = read(record_number(position, len(dataset), seed))
        original_size = tf.shape(panoptic)
        view, view_panoptic, valid_size = augment(
            image,
            panoptic,
            tf.stack([tf.constant(seed, tf.int64), position]),
            augment_config,
            resized_size(original_size[0], original_size[1], input_config),
            input_config.pad_value,
            input_config.align_corners,
        )
        return {
            "image": view,
            "panoptic": view_panoptic,
            "valid_size": valid_size,
            "original_size": original_size,
            "targets": target_fn(view_panoptic),
        }

    # Nothing in it is a Python loop or condition on tensors; AutoGraph would only warn about what it cannot convert.
    prepared = tf.autograph.experimental.do_not_convert(example)
    share = batch_size // workers

    def position_of(count: tf.Tensor) -> tf.Tensor:
        """Position among all training examples of the `count`-th one of this worker."""
        return count // share * batch_size + worker * share + count % share

    batches = (
        tf.data.Dataset.counter(start_step * share)
        .map(lambda count: prepared(position_of(count)), parallel_calls, deterministic=True)
        .batch(share, drop_remainder=True)
        .prefetch(2)
    )
    options = tf.data.Options()
    # Every worker makes its own part already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)


def record_number(position: tf.Tensor, records: int, seed: int) -> tf.Tensor:
    """Which record the training example at `position`, int64 `[]`, shows; every epoch shows each record once."""
    epoch = position // records
    epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.random.experimental.index_shuffle(position % records, epoch_seed, tf.constant(records - 1, tf.int64))


def _require_fitting_crop(crop: tuple[int, int], config: InputConfig) -> None:
    fitting = tuple(padded_side(side, config) for side in crop)
    if fitting != tuple(crop):
        rule = size_rule(config)
        raise SettingError("augment.crop", f"input.stride asks for {rule}, found {list(crop)}; next is {list(fitting)}")
