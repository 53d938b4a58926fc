"""The optimizer of a run, from Keras, and the clipping that Keras does too early."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.schedules import learning_rate_schedule

_NO_DECAY = ("bias", "gamma", "beta")


def make_optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    """Keras optimizer with the run's schedule, weight decay and moving average; clipping is `apply_gradients`'."""
    settings = config.optimizer
    common = {
        "learning_rate": learning_rate_schedule(config.schedule, settings.learning_rate, config.steps),
        "use_ema": config.ema is not None,
        "ema_momentum": config.ema or 0.99,
    }
    if settings.name == "sgd":
        decay = settings.weight_decay or None
        optimizer = keras.optimizers.SGD(momentum=settings.momentum, weight_decay=decay, **common)
    elif settings.name == "adam":
        optimizer = keras.optimizers.Adam(epsilon=settings.epsilon, **common)
    else:
        optimizer = keras.optimizers.AdamW(epsilon=settings.epsilon, weight_decay=settings.weight_decay, **common)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(_NO_DECAY))
    return optimizer


def apply_gradients(optimizer, gradients: list, variables: list, clip_norm: float | None) -> None:
    """One update from one replica's share of the gradients, clipped by the norm of the whole batch's gradient.

    Keras clips each replica's share before it sums them, which is another norm than one device sees.
    Here the shares are summed first; since Keras will sum once more, each replica then hands in its
    part of the clipped sum. To be called inside `strategy.run`.
    """
    if clip_norm is not None:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
        gradients = [gradient / replicas for gradient in gradients] if replicas > 1 else gradients
    optimizer.apply(gradients, variables)
