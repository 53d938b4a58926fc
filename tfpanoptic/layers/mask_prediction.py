"""From queries and patches to a mask for each query."""

from __future__ import annotations

import keras
from keras import ops


def pytorch_uniform(fan_in: int) -> keras.initializers.Initializer:
    """Uniform within 1 / sqrt(fan_in). Source: the default of PyTorch's linear and convolutional layers."""
    limit = fan_in**-0.5
    return keras.initializers.RandomUniform(-limit, limit)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class MaskEmbedding(keras.layers.Layer):
    """Queries [B, Q, C] -> the vectors that patches are multiplied by, [B, Q, C]: three dense layers, GELU between.

    Args:
        width: C.

    Source: EoMT `models/eomt.py` (`mask_head`).
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        start = pytorch_uniform(width)
        common = {"kernel_initializer": start, "bias_initializer": start, "dtype": self.dtype_policy}
        self.layers = [
            keras.layers.Dense(width, activation, name=f"fc{i}", **common)
            for i, activation in enumerate(("gelu", "gelu", None), 1)
        ]

    def build(self, queries_shape):
        """Creates the weights."""
        for layer in self.layers:
            layer.build(queries_shape)

    def call(self, queries):
        """The vectors."""
        for layer in self.layers:
            queries = layer(queries)
        return queries


@keras.saving.register_keras_serializable(package="tfpanoptic")
class Upscale(keras.layers.Layer):
    """Features [B, h, w, C] -> features [B, 2 h, 2 w, C]: transposed 2x2, GELU, depthwise 3x3, layer normalisation.

    Args:
        width: C.

    Source: EoMT `models/scale_block.py`; PyTorch counts the outputs of a transposed convolution as its inputs when it
    initialises.
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        start = pytorch_uniform(4 * width)
        common = {"dtype": self.dtype_policy}
        self.deconv = keras.layers.Conv2DTranspose(
            width,
            2,
            strides=2,
            activation="gelu",
            kernel_initializer=start,
            bias_initializer=start,
            name="deconv",
            **common,
        )
        self.depthwise = keras.layers.DepthwiseConv2D(
            3, padding="same", use_bias=False, depthwise_initializer=pytorch_uniform(9), name="depthwise", **common
        )
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype="float32", name="norm")

    def build(self, features_shape):
        """Creates the weights."""
        shape = (None, None, None, features_shape[-1])
        self.deconv.build(shape)
        self.depthwise.build(shape)
        self.norm.build(shape)

    def call(self, features):
        """The larger map."""
        return ops.cast(self.norm(self.depthwise(self.deconv(features))), self.compute_dtype)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class MaskLogits(keras.layers.Layer):
    """Products of vectors [B, Q, C] and features [B, h, w, C]: mask logits, float32 [B, h, w, Q]."""

    def call(self, vectors, features):
        """The logits, multiplied in the layer's precision."""
        batch, height, width, channels = ops.shape(features)
        flat = ops.reshape(features, (batch, height * width, channels))
        logits = ops.matmul(flat, ops.transpose(vectors, (0, 2, 1)))
        return ops.cast(ops.reshape(logits, (batch, height, width, vectors.shape[1])), "float32")

    def compute_output_spec(self, vectors, features):
        """Height and width may be unknown."""
        return keras.KerasTensor((*features.shape[:3], vectors.shape[1]), "float32")
