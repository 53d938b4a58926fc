"""Panoptic copy-paste: things, and if asked for stuff, of a second image over the first.

Source: Ghiasi et al. 2021, Simple Copy-Paste; the panoptic form is that of kMaX-DeepLab's PyTorch version. It pastes
on padding, too; here padding stays padding, so that `valid_size` says where it is. A second view smaller than the crop
lies at the top left, as in both. Edges are not blurred: Ghiasi et al. found no gain in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfpanoptic.panoptic_map import MAX_INSTANCE, category_of, encode, instance_of
from tfpanoptic.settings.augmentation import AugmentConfig, CopyPasteConfig

# float32 [h, w, 3], int32 [h, w] and int32 [2]: what `augment` returns.
View = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
# Tells the seeds of this file from those of `augment`, which has the same seed.
PASTED = 1


def copy_paste(
    first: View,
    view_of: Callable[[tf.Tensor, tf.Tensor], View],
    records: int,
    seed: tf.Tensor,
    config: CopyPasteConfig,
    stuff: Sequence[int],
) -> View:
    """A view with segments of a second one over it, or as it is, a function of the seed.

    Args:
        first: the view.
        view_of: from the number of a record and the seed of its changes to a view of it of the same size; if nothing
            is pasted, a graph does not run it.
        records: how many there are.
        seed: integers `[2]`, the first view's.
        config: how often and what.
        stuff: ids of the stuff categories.

    Returns:
        The view of the same size and valid size. Things of the second have numbers that are free in their category,
        stuff has its label, crowds and void are not pasted.
    """
    coin_seed, second_seed, paste_seed = _seeds(seed)[1:]
    happens = tf.random.stateless_uniform([], coin_seed) < config.probability

    def pasted() -> tuple[tf.Tensor, tf.Tensor]:
        image, panoptic, _ = view_of(pasted_number(seed, records), second_seed)
        return paste(first, image, panoptic, paste_seed, config, stuff)

    image, panoptic = tf.cond(happens, pasted, lambda: (tf.identity(first[0]), tf.identity(first[1])))
    return tf.ensure_shape(image, first[0].shape), tf.ensure_shape(panoptic, first[1].shape), first[2]


def pasted_number(seed: tf.Tensor, records: int) -> tf.Tensor:
    """Which of so many records lies over the image of this seed, if any does, int64 `[]`; each is as likely."""
    return tf.random.stateless_uniform([], _seeds(seed)[0], 0, records, tf.int64)


def second_config(config: AugmentConfig) -> AugmentConfig:
    """What may happen to the second image: the same, at `copy_paste.scale` times the scale."""
    factor = 1.0 if config.copy_paste is None else config.copy_paste.scale
    scaled = ("min_scale", "max_scale", "scale_step")
    return config.model_copy(
        update={name: getattr(config, name) * factor for name in scaled if getattr(config, name) is not None}
    )


def paste(
    first: View,
    image: tf.Tensor,
    panoptic: tf.Tensor,
    seed: tf.Tensor,
    config: CopyPasteConfig,
    stuff: Sequence[int],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Image and map of the first view under segments of the second.

    Args:
        first: the view.
        image: float32 `[h, w, 3]`, of the second.
        panoptic: int32 `[h, w]`, of the second.
        seed: integers `[2]`.
        config: what is pasted.
        stuff: ids of the stuff categories.

    Returns:
        float32 `[h, w, 3]` and int32 `[h, w]`.
    """
    under, under_panoptic, (height, width) = first[0], first[1], tf.unstack(first[2])
    rows, columns = tf.unstack(tf.shape(panoptic))
    inside = (tf.range(rows) < height)[:, None] & (tf.range(columns) < width)[None, :]
    labels, places = tf.unique(tf.reshape(tf.where(inside, panoptic, 0), [-1]))
    new_labels = _new_labels(labels, tf.unique(tf.reshape(under_panoptic, [-1])).y, seed, config, stuff)
    pasted = tf.gather(new_labels, places)  # [h * w]
    # Choosing whole rows of three, instead of broadcasting the choice, takes a quarter of the time.
    pixels = (tf.reshape(image, (-1, 3)), tf.reshape(under, (-1, 3)))
    seen = tf.reshape(tf.raw_ops.Select(condition=pasted > 0, x=pixels[0], y=pixels[1]), (rows, columns, 3))
    pasted = tf.reshape(pasted, (rows, columns))
    return seen, tf.where(pasted > 0, pasted, under_panoptic)


def _seeds(seed: tf.Tensor) -> list[tf.Tensor]:
    """Of the second record, of whether something is pasted, of the second view and of what is pasted."""
    return tf.unstack(tf.random.experimental.stateless_split(tf.random.fold_in(seed, tf.constant(PASTED, tf.int64)), 4))


def _new_labels(
    labels: tf.Tensor, taken: tf.Tensor, seed: tf.Tensor, config: CopyPasteConfig, stuff: Sequence[int]
) -> tf.Tensor:
    """The label that each one of the second map gets, int32 `[L]`; 0: it is not pasted.

    Args:
        labels: int32 `[L]`, those of the second map, each once.
        taken: int32 `[T]`, those of the first.
        seed, config, stuff: as of `paste`.
    """
    category, things = category_of(labels), instance_of(labels) > 0
    is_stuff = tf.reduce_any(labels[:, None] == encode(tf.constant(stuff, tf.int32), 0), axis=1)
    thing_seed, stuff_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    chosen = _chosen_things(things, thing_seed, config)
    highest = tf.reduce_max(
        tf.where(category[:, None] == category_of(taken), instance_of(taken), 0), axis=1
    )  # [L], 0 where the first map has none
    earlier = tf.linalg.band_part(tf.ones([tf.size(labels)] * 2, tf.int32), -1, 0)
    rank = tf.reduce_sum(tf.where((category[:, None] == category) & chosen, earlier, 0), axis=1)  # from 1
    number = highest + rank
    new = tf.where(chosen & (number <= MAX_INSTANCE), encode(category, number), 0)
    if config.stuff:
        new = tf.where(_some(is_stuff, 0, _count(is_stuff), stuff_seed), labels, new)
    return new


def _chosen_things(things: tf.Tensor, seed: tf.Tensor, config: CopyPasteConfig) -> tf.Tensor:
    """Which labels are things to paste, bool `[L]`."""
    most = _count(things)
    if config.max_instances is not None:
        most = tf.minimum(most, config.max_instances)
    return _some(things, most if config.instances == "all" else tf.minimum(most, 1), most, seed)


def _count(candidates: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(candidates, tf.int32))


def _some(candidates: tf.Tensor, fewest: Any, most: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Some of the candidates, bool `[L]`: from `fewest` to `most`, each number and each candidate as likely."""
    order_seed, count_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    count = tf.random.stateless_uniform([], count_seed, fewest, most + 1, tf.int32)
    noise = tf.random.stateless_uniform(tf.shape(candidates), order_seed)
    order = tf.argsort(tf.where(candidates, noise, 2.0), stable=True)
    return candidates & (tf.argsort(order) < count)
