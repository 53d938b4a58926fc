"""Position-sensitive attention along the height, then along the width of a map.

DeepLab2's form: no scaling of the logits, but a batch normalisation of each of their three kinds in each head; one more
of queries, keys and values, and one of what is retrieved; no projection afterwards. It attends to all of an axis; here
a query may also see a span of it, as in the paper.

Source: Wang et al. 2020 (Axial-DeepLab), section 3; DeepLab2 `model/layers/axial_layers.py`.
"""

from __future__ import annotations

import math

import keras
from keras import ops

from tfpanoptic.errors import SettingError
from tfpanoptic.layers.norm import Norm, normalization
from tfpanoptic.ops.axial_attention import axial_attention
from tfpanoptic.ops.logit_moments import logit_moments
from tfpanoptic.ops.replicas import replicas_in_sync
from tfpanoptic.ops.row_windows import Cut, cut_rows, distances

# The furthest position that has an embedding; those beyond share it. Source: DeepLab2, MAX_SPAN = 255 cells.
FURTHEST = 254
# Query by key, query by position, key by position.
KINDS_OF_LOGITS = 3


@keras.saving.register_keras_serializable(package="tfpanoptic")
class AxialAttention(keras.layers.Layer):
    """Attention along the height, then the width: [B, h, w, C] -> [B, ceil(h/s), ceil(w/s), value_channels].

    Args:
        key_channels: of queries and keys, over all heads.
        value_channels: of values, over all heads.
        heads: number of heads; divides both.
        stride: every how many cells are kept of each axis after its attention.
        span: cells that a query sees along an axis, itself in the middle; None for all.
        norm: batch normalisation, frozen or not.

    Raises:
        SettingError: a normalisation of another kind.
    """

    def __init__(
        self,
        key_channels: int,
        value_channels: int,
        heads: int = 8,
        stride: int = 1,
        span: int | None = None,
        norm: Norm = Norm(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.stride = stride
        given = (key_channels, value_channels, heads, span, norm)
        self.height_axis = AxisAttention(1, *given, dtype=self.dtype_policy, name="height_axis")
        self.width_axis = AxisAttention(2, *given, dtype=self.dtype_policy, name="width_axis")
        self.value_channels = value_channels

    def build(self, input_shape):
        """Creates the weights of both axes."""
        self.height_axis.build(input_shape)
        self.width_axis.build((*input_shape[:-1], self.value_channels))

    def call(self, x, training=None):
        """What was retrieved along both axes."""
        x = self.height_axis(x, training=training)[:, :: self.stride]
        return self.width_axis(x, training=training)[:, :, :: self.stride]

    def compute_output_shape(self, input_shape):
        """The kept cells; inferring them would trace the loops of both axes, a second for every block of a network."""
        height, width = (side if side is None else -(-side // self.stride) for side in input_shape[1:3])
        return (input_shape[0], height, width, self.value_channels)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class AxisAttention(keras.layers.Layer):
    """Attention along one axis: [B, h, w, C] -> [B, h, w, value_channels].

    Args: as `AxialAttention`; `axis` is 1 for the height and 2 for the width.
    """

    def __init__(
        self,
        axis: int,
        key_channels: int,
        value_channels: int,
        heads: int = 8,
        span: int | None = None,
        norm: Norm = Norm(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        norm = Norm(*norm)
        if norm.kind not in ("batch", "frozen"):
            raise SettingError("model.norm.kind", f"expected batch or frozen for axial attention, found {norm.kind!r}")
        if key_channels % heads or value_channels % heads:
            raise ValueError(f"heads must divide {key_channels} and {value_channels} channels, got {heads}")
        self.axis, self.heads, self.span = axis, heads, span
        self.key_channels, self.value_channels = key_channels, value_channels
        self.qkv_norm = normalization(norm, dtype=self.dtype_policy, name="qkv_norm")
        self.logit_norm = LogitNorm(heads, norm, dtype=self.dtype_policy, name="logit_norm")
        self.output_norm = normalization(norm, dtype=self.dtype_policy, name="output_norm")

    def build(self, input_shape):
        """Creates the projection, the embeddings of positions, which all heads share, and the normalisations."""
        channels, width = input_shape[-1], 2 * self.key_channels + self.value_channels
        start = keras.initializers.TruncatedNormal(stddev=1 / math.sqrt(channels))
        self.qkv_kernel = self.add_weight((channels, width), start, name="qkv_kernel")
        self.qkv_norm.build((*input_shape[:-1], width))
        self.logit_norm.build()
        self.query_positions, self.key_positions, self.value_positions = (
            self.add_weight(
                (2 * FURTHEST + 1, channels // self.heads),
                keras.initializers.TruncatedNormal(stddev=1.0),
                name=f"{name}_positions",
            )
            for name, channels in zip(("query", "key", "value"), self._widths(), strict=True)
        )
        self.output_norm.build((*input_shape[:-1], 2 * self.value_channels))

    def call(self, x, training=None):
        """What every cell retrieves along the axis."""
        qkv = self.qkv_norm(ops.einsum("bhwc,cd->bhwd", x, self.qkv_kernel), training=training)
        if self.axis == 1:
            qkv = ops.transpose(qkv, (0, 2, 1, 3))
        batch, across, length, _ = ops.shape(qkv)
        cut = cut_rows(length, self.span)
        rows, start = [], 0
        for width in self._widths():
            part = qkv[..., start : start + width]
            rows.append(ops.reshape(part, (-1, length, self.heads, width // self.heads)))
            start += width
        of_query, of_query_position, of_key_position = self._factors(rows, cut, training)
        query, key, values = rows
        content, position = axial_attention(
            (self._scaled(query, of_query), self._scaled(query, of_query_position)),
            (key, self._scaled(key, of_key_position)),
            values,
            self._tables(cut),
            cut,
        )
        retrieved = [ops.reshape(x, (batch, across, length, self.value_channels)) for x in (content, position)]
        retrieved = self.output_norm(ops.concatenate(retrieved, axis=-1), training=training)
        retrieved = retrieved[..., : self.value_channels] + retrieved[..., self.value_channels :]
        return ops.transpose(retrieved, (0, 2, 1, 3)) if self.axis == 1 else retrieved

    def _widths(self) -> tuple[int, int, int]:
        """Channels of queries, keys and values."""
        return self.key_channels, self.key_channels, self.value_channels

    def _scaled(self, x, factors):
        """[R, L, N, D] times float32 [N]."""
        return ops.cast(ops.cast(x, "float32") * ops.expand_dims(factors, 1), self.compute_dtype)

    def _factors(self, rows, cut: Cut, training) -> list:
        """What normalising multiplies each kind of logits by in each head, three of float32 [N]."""
        if not self.logit_norm.follows_batch(training):
            return ops.unstack(self.logit_norm())
        reach = cut.length - 1 if cut.reach is None else cut.reach
        distance = ops.clip(ops.arange(-reach, reach + 1, dtype="int32"), -FURTHEST, FURTHEST) + FURTHEST
        query, key = (ops.cast(x, "float32") for x in rows[:2])
        of_query, of_key = (
            ops.cast(_embeddings(x, distance), "float32") for x in (self.query_positions, self.key_positions)
        )
        return ops.unstack(self.logit_norm(*logit_moments(query, key, of_query, of_key, cut)))

    def _tables(self, cut: Cut) -> list:
        """The embedding of every key's position relative to every query of a block, for queries, keys and values."""
        index = ops.clip(distances(cut), -FURTHEST, FURTHEST) + FURTHEST
        places = (index, ops.transpose(index), index)
        weights = (self.query_positions, self.key_positions, self.value_positions)
        return [ops.cast(_embeddings(x, at), self.compute_dtype) for x, at in zip(weights, places, strict=True)]


def _embeddings(table, index):
    """Rows of a table; reshaped, for TensorFlow's gradient of a variable's own rows is no tensor."""
    return ops.take(ops.reshape(table, table.shape), index, axis=0)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class LogitNorm(keras.layers.Layer):
    """Batch normalisation of the three kinds of logits in each head, as the factors that it multiplies them by.

    What it adds is the same for all keys, so the softmax takes it away again: `beta` and `moving_mean` change nothing
    and are here because published weights have them.

    Args:
        heads: number of heads.
        norm: batch normalisation, frozen or not.
    """

    def __init__(self, heads: int, norm: Norm = Norm(), **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.heads, self.norm = heads, Norm(*norm)
        self.synchronized = replicas_in_sync() > 1

    def build(self):
        """Creates the weights of a batch normalisation of 3 * heads channels, head by head of each kind."""
        shape, learns = (KINDS_OF_LOGITS * self.heads,), self.norm.kind == "batch"
        self.gamma = self.add_weight(shape, "ones", name="gamma", trainable=learns, autocast=False)
        self.beta = self.add_weight(shape, "zeros", name="beta", trainable=learns, autocast=False)
        self.moving_mean = self.add_weight(shape, "zeros", name="moving_mean", trainable=False, autocast=False)
        self.moving_variance = self.add_weight(shape, "ones", name="moving_variance", trainable=False, autocast=False)
        self.built = True

    def follows_batch(self, training) -> bool:
        """Whether it normalises by the batch's own moments."""
        return bool(training) and self.trainable and self.norm.kind == "batch"

    def call(self, mean=None, variance=None):
        """The factors, float32 [3, heads].

        Args:
            mean, variance: float32 [3, heads], the batch's moments, which move the layer's; without, those are used.
        """
        if variance is None:
            variance = ops.convert_to_tensor(self.moving_variance)
        else:
            mean, variance = self._over_replicas(*(ops.reshape(x, (-1,)) for x in (mean, variance)))
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.norm.momentum + batch * (1.0 - self.norm.momentum))
        # A gradient of 0 for beta, where optimizers would miss one.
        factors = self.gamma * ops.rsqrt(variance + self.norm.epsilon) + 0.0 * self.beta
        return ops.reshape(factors, (KINDS_OF_LOGITS, self.heads))

    def _over_replicas(self, mean, variance):
        """Moments of all replicas, which have equally many logits."""
        if not self.synchronized:
            return mean, variance
        whole, between = ops.moments(mean[None], axes=(0,), synchronized=True)
        within, _ = ops.moments(variance[None], axes=(0,), synchronized=True)
        return whole, within + between
