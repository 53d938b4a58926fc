"""How a convolution's output is normalised: a record of plain values, and the layer that it describes."""

from __future__ import annotations

from typing import NamedTuple

import keras
from keras import ops

from tfpanoptic.errors import SettingError
from tfpanoptic.ops.batch_norm import batch_norm_of_batch
from tfpanoptic.ops.replicas import replicas_in_sync


class Norm(NamedTuple):
    """The normalisation of a network's convolutions.

    A tuple, because Keras records tuples as constructor arguments by itself; a `.keras` file gives it back as a list.

    Attributes:
        kind: "batch", "frozen" (batch normalisation with given weights and statistics), "group" or "none".
        epsilon: added to the variance; published weights fit one value only (DeepLab2 1e-3, PyTorch projects 1e-5).
        momentum: share of the moving statistics that an update keeps; of "batch" only.
        groups: number of groups of channels; of "group" only.
    """

    kind: str = "batch"
    epsilon: float = 1e-3
    momentum: float = 0.99
    groups: int = 32


def normalization(
    norm: Norm, gamma_initializer: str = "ones", dtype=None, name: str | None = None
) -> keras.layers.Layer:
    """The layer that `norm` describes: `batch_norm` (of "frozen", too), `group_norm`, or one without weights.

    Args:
        norm: which one.
        gamma_initializer: of the scale; "zeros" ends a residual branch. Frozen scales start at one: those that stay 0
            would cut the branch off for good.
        dtype: policy; statistics are float32 under any.
        name: in place of these.

    Raises:
        ValueError: another kind.
    """
    kind, epsilon, momentum, groups = norm
    if kind == "batch":
        return BatchNorm(
            epsilon=epsilon,
            momentum=momentum,
            gamma_initializer=gamma_initializer,
            synchronized=replicas_in_sync() > 1,
            dtype=dtype,
            name=name or "batch_norm",
        )
    if kind == "frozen":
        return FrozenBatchNorm(epsilon, dtype=dtype, name=name or "batch_norm")
    if kind == "group":
        return GroupNorm(
            groups, epsilon=epsilon, gamma_initializer=gamma_initializer, dtype=dtype, name=name or "group_norm"
        )
    if kind == "none":
        return keras.layers.Identity(dtype=dtype, name=name or "no_norm")
    raise ValueError(f"kind must be batch, frozen, group or none, got {kind!r}")


@keras.saving.register_keras_serializable(package="tfpanoptic")
class BatchNorm(keras.layers.BatchNormalization):
    """Keras' batch normalisation of maps [B, H, W, C], on the fused kernel of the backend in training.

    Same outputs, gradients and moving statistics. Statistics that cover all replicas are Keras' own.
    """

    def call(self, x, training=None):
        """The normalised maps; in training by the batch's statistics, which move the layer's."""
        if not (training and self.trainable) or self.synchronized:
            return super().call(x, training=training)
        outputs, mean, variance = batch_norm_of_batch(x, self.gamma, self.beta, self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


@keras.saving.register_keras_serializable(package="tfpanoptic")
class FrozenBatchNorm(keras.layers.Layer):
    """Batch normalisation of [B, H, W, C] by given statistics: in training as in inference, and no weight is trained.

    Args:
        epsilon: added to the variance.

    Source: Detectron2 `layers/batch_norm.py`, `FrozenBatchNorm2d`.
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        """Creates the weights of `BatchNorm`, which change nothing until others are loaded."""
        shape, fixed = (input_shape[-1],), {"trainable": False, "autocast": False}
        self.gamma = self.add_weight(shape, "ones", name="gamma", **fixed)
        self.beta = self.add_weight(shape, "zeros", name="beta", **fixed)
        self.moving_mean = self.add_weight(shape, "zeros", name="moving_mean", **fixed)
        self.moving_variance = self.add_weight(shape, "ones", name="moving_variance", **fixed)

    def scale_and_shift(self):
        """What normalising is here, float32 [C] each: x * scale + shift."""
        scale = ops.multiply(self.gamma, ops.rsqrt(self.moving_variance + self.epsilon))
        return scale, self.beta - self.moving_mean * scale

    def call(self, x):
        """The normalised maps, computed in float32."""
        scale, shift = self.scale_and_shift()
        values = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        return ops.cast(values * scale + shift, self.compute_dtype)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class GroupNorm(keras.layers.GroupNormalization):
    """Keras' group normalisation, which tells by its setting when the channels cannot be split.

    Raises:
        SettingError: the number of channels is no multiple of the number of groups.

    Source: Wu and He 2018.
    """

    def build(self, input_shape):
        """Creates scale and offset."""
        channels = input_shape[-1]
        if channels % self.groups:
            raise SettingError(
                "model.norm.groups", f"expected a divisor of {channels} channels ({self.path}), found {self.groups}"
            )
        super().build(input_shape)
