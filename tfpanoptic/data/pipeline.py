"""Batches of a dataset, for training and for its validation.

The batch of a training step is a function of the seed and the step: the order of an epoch is a stateless
permutation, every image's randomness a stateless seed. A run resumes by its step alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpanoptic.data.augment import augment
from tfpanoptic.data.augmentation.copy_paste import View, copy_paste, pasted_number, second_config
from tfpanoptic.data.augmentation.resampling import padded
from tfpanoptic.data.dataset import Dataset, ImageRecord, require_segments
from tfpanoptic.data.examples import decoded_bytes, file_reader, file_source, memory_reader, memory_source
from tfpanoptic.data.input_size import prepare_batch, prepare_labels
from tfpanoptic.settings.augmentation import AugmentConfig
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import Grid, network_size, require_fitting, resized_size

# Decoded datasets up to this size stay in memory. Own choice: 700 images of 320 x 320.
MEMORY_LIMIT = 512 << 20
# One image of a batch -> its training targets.
Targets = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


def training_batches(
    dataset: Dataset,
    input_config: InputConfig,
    grid: Grid,
    augment_config: AugmentConfig,
    targets: Targets,
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
        input_config: the input policy; its resize comes before the random scale.
        grid: the architecture's.
        augment_config: its `crop` is the size of the batches' images.
        targets: from one image, the dict of the batch without its first axis, to its training targets.
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
            `seed` int32 `[B, 2]`, the image's own, for randomness inside the network
            `step` int32 `[B]`, counted from 0, the same for the whole batch
            `targets`, what `targets` returned, batched.

    Raises:
        SettingError: a crop that the grid does not fit.
        InputError: wrong files (as `file_source`), or no image has a segment.
        ValueError: `batch_size` is not a multiple of `workers`.
    """
    if batch_size % workers:
        raise ValueError(f"batch_size must be a multiple of the {workers} workers, got {batch_size}")
    require_fitting("augment.crop", augment_config.crop, grid)
    require_segments(dataset)
    sources = memory_source if decoded_bytes(dataset) <= memory_limit else file_source
    source = sources(dataset, input_config.deep_grey)

    def view(number: tf.Tensor, own_seed: tf.Tensor, config: AugmentConfig) -> View:
        image, ids = source.read(number)
        height, width = tf.unstack(tf.shape(ids))
        size = resized_size(height, width, input_config)
        image, ids, valid_size = augment(image, ids, own_seed, config, size, grid.align_corners)
        panoptic = source.labels(ids[: valid_size[0], : valid_size[1]], number)
        return image, padded(panoptic, config.crop), valid_size

    def example(position: tf.Tensor) -> dict[str, Any]:
        own_seed = _own_seed(seed, position)
        whole = view(record_number(position, len(dataset), seed), own_seed, augment_config)
        if augment_config.copy_paste is not None:
            second = second_config(augment_config)
            whole = copy_paste(
                whole,
                lambda number, own_seed: view(number, own_seed, second),
                len(dataset),
                own_seed,
                augment_config.copy_paste,
                dataset.categories.stuff_ids,
            )
        return _with_targets(*whole, (seed, position), position // batch_size, targets)

    share = batch_size // workers

    def position_of(count: tf.Tensor) -> tf.Tensor:
        """Position among all training examples of the `count`-th one of this worker."""
        return count // share * batch_size + worker * share + count % share

    positions = tf.data.Dataset.counter(start_step * share).map(position_of)
    return _batched(positions, example, share, parallel_calls, drop_remainder=True)


def records_of_batch(
    dataset: Dataset, batch_size: int, seed: int, step: int, pasted: bool = False
) -> list[ImageRecord]:
    """The images of the batch at `step` of `training_batches`, whose first is 0; some may be there twice.

    With `pasted`, those follow that copy-paste may have laid over them.
    """
    positions = tf.range(step * batch_size, (step + 1) * batch_size, dtype=tf.int64)
    numbers = [record_number(position, len(dataset), seed) for position in positions]
    if pasted:
        numbers += [pasted_number(_own_seed(seed, position), len(dataset)) for position in positions]
    return [dataset.records[int(number)] for number in numbers]


def validation_batches(
    dataset: Dataset,
    input_config: InputConfig,
    grid: Grid,
    targets: Targets,
    batch_size: int,
    *,
    parallel_calls: int = tf.data.AUTOTUNE,
    memory_limit: int = MEMORY_LIMIT,
) -> tf.data.Dataset:
    """All images of a dataset once, in its order, as in inference and with targets, for the loss on them.

    Every image is resized by the policy and padded to the size that all of them need, so that they form batches.

    Args:
        dataset, input_config, grid, targets, parallel_calls, memory_limit: as of `training_batches`.
        batch_size: of the batches; the last one may be smaller.

    Returns:
        Batches as those of `training_batches`; `step` is 0.

    Raises:
        InputError: wrong files (as `file_reader`).
    """
    reader = memory_reader if decoded_bytes(dataset) <= memory_limit else file_reader
    read = reader(dataset, input_config.deep_grey)
    common = common_size([(record.height, record.width) for record in dataset.records], input_config, grid)
    padded = input_config.model_copy(update={"pad_to": common})

    def example(position: tf.Tensor) -> dict[str, Any]:
        image, panoptic = read(position)
        images, valid_sizes = prepare_batch(image[None], padded, grid)
        image = tf.ensure_shape(images[0], (*common, 3))
        panoptic = tf.ensure_shape(prepare_labels(panoptic, padded, grid), common)
        return _with_targets(image, panoptic, valid_sizes[0], (0, position), tf.zeros([], tf.int64), targets)

    positions = tf.data.Dataset.range(len(dataset))
    return _batched(positions, example, batch_size, parallel_calls, drop_remainder=False)


def common_size(sizes: Sequence[tuple[int, int]], input_config: InputConfig, grid: Grid) -> tuple[int, int]:
    """(height, width) of the smallest network input that holds each of the images of these sizes."""
    heights, widths = zip(*(network_size(*size, input_config, grid) for size in sizes), strict=True)
    return max(heights), max(widths)


def _with_targets(image, panoptic, valid_size, seed: tuple[int, tf.Tensor], step: tf.Tensor, targets: Targets) -> dict:
    """One image of a batch; `seed` is a Python int and an int64 position."""
    example = {
        "image": image,
        "panoptic": panoptic,
        "valid_size": valid_size,
        # Beyond 2**31 training images the numbers begin again.
        "seed": tf.stack([tf.constant(seed[0], tf.int32), tf.cast(seed[1] % np.iinfo(np.int32).max, tf.int32)]),
        "step": tf.cast(step, tf.int32),
    }
    return {**example, "targets": targets(example)}


def _batched(
    positions: tf.data.Dataset, example: Callable, batch_size: int, parallel_calls: int, drop_remainder: bool
) -> tf.data.Dataset:
    # Nothing in it is a Python loop or condition on tensors; AutoGraph would only warn about what it cannot convert.
    prepared = tf.autograph.experimental.do_not_convert(example)
    batches = (
        positions.map(lambda position: prepared(position), parallel_calls, deterministic=True)
        .batch(batch_size, drop_remainder=drop_remainder)
        .prefetch(2)
    )
    options = tf.data.Options()
    # Every worker makes its own part already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)


def _own_seed(seed: int, position: tf.Tensor) -> tf.Tensor:
    """Seed of all that happens to the training example at a position, int64 `[2]`."""
    return tf.stack([tf.constant(seed, tf.int64), position])


def record_number(position: tf.Tensor, records: int, seed: int) -> tf.Tensor:
    """Which record the training example at `position`, int64 `[]`, shows; every epoch shows each record once."""
    epoch = position // records
    epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.random.experimental.index_shuffle(position % records, epoch_seed, tf.constant(records - 1, tf.int64))
