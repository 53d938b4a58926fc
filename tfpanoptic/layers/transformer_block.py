"""A block of a vision transformer: attention among all tokens, then a network for each."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.rotary import rotate


@keras.saving.register_keras_serializable(package="tfpanoptic")
class TransformerBlock(keras.layers.Layer):
    """Tokens [B, N, C] -> tokens [B, N, C]: `t += scale1 * attention(norm1(t)); t += scale2 * mlp(norm2(t))`.

    Layer normalisation, softmax and rotation are float32 under any policy.

    Args:
        width: C.
        heads: of the attention; C is a multiple of it.
        hidden: channels between the two layers of the network for each token.
        epsilon: of the layer normalisations.
        key_bias: whether keys have a bias. It cancels in the softmax.
        layer_scale: the scales before training.

    Raises:
        ValueError: the width is no multiple of the heads.

    Source: Dosovitskiy et al. 2021, Touvron et al. 2021 (layer scale), as in DINOv2 and DINOv3.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        epsilon: float = 1e-6,
        key_bias: bool = True,
        layer_scale: float = 1e-5,
        **kwargs,
    ):
        # Rotary positions stay float32.
        super().__init__(**kwargs, autocast=False)
        if width % heads:
            raise ValueError(f"width must be a multiple of the {heads} heads, got {width}")
        self.width, self.heads, self.layer_scale = width, heads, layer_scale
        start = keras.initializers.TruncatedNormal(stddev=0.02)

        def dense(units, name, use_bias=True, activation=None):
            return keras.layers.Dense(
                units, activation, use_bias, kernel_initializer=start, dtype=self.dtype_policy, name=name
            )

        self.norm1 = keras.layers.LayerNormalization(epsilon=epsilon, dtype="float32", name="norm1")
        self.query, self.value = dense(width, "query"), dense(width, "value")
        self.key, self.out = dense(width, "key", key_bias), dense(width, "out")
        self.norm2 = keras.layers.LayerNormalization(epsilon=epsilon, dtype="float32", name="norm2")
        self.fc1, self.fc2 = dense(hidden, "fc1", activation="gelu"), dense(width, "fc2")

    def build(self, tokens_shape, rotary_shape=None, visible_shape=None):
        """Creates the weights."""
        start = keras.initializers.Constant(self.layer_scale)
        self.scale1 = self.add_weight((self.width,), start, name="scale1")
        self.scale2 = self.add_weight((self.width,), start, name="scale2")
        for layer in (self.norm1, self.query, self.key, self.value, self.out, self.norm2, self.fc1):
            layer.build((None, None, self.width))
        self.fc2.build((None, None, self.fc1.units))

    def call(self, tokens, rotary=None, visible=None):
        """The tokens after the block.

        Args:
            tokens: float [B, N, C]: queries if any, prefix, patches.
            rotary: float32 [B, 2, P, C / heads], cosines and sines of the last P tokens, the patches; None turns none.
            visible: bool [B, Q, P]: which patches each of the first Q tokens, the queries, may attend to. They attend
                to all other tokens, and all others to everything.
        """
        tokens = ops.cast(tokens, self.compute_dtype)
        scale1, scale2 = (ops.cast(scale, self.compute_dtype) for scale in (self.scale1, self.scale2))
        tokens = tokens + scale1 * self.out(self._attention(self.norm1(tokens), rotary, visible))
        return tokens + scale2 * self.fc2(self.fc1(self.norm2(tokens)))

    def _attention(self, tokens, rotary, visible):
        """What the heads found, [B, N, C]."""
        query, key, value = (self._heads(layer(tokens)) for layer in (self.query, self.key, self.value))
        if rotary is not None:
            query, key = (self._rotated(x, rotary) for x in (query, key))
        if visible is None:
            found = ops.dot_product_attention(query, key, value)
        else:
            # Only the rows of queries are masked; the others, most of them, are spared the pass over their logits.
            count, others = visible.shape[1], ops.shape(tokens)[1] - ops.shape(visible)[2]
            visible = ops.pad(visible, ((0, 0), (0, 0), (others, 0)), constant_values=True)
            masked = ops.dot_product_attention(query[:, :count], key, value, mask=ops.expand_dims(visible, 1))
            found = ops.concatenate([masked, ops.dot_product_attention(query[:, count:], key, value)], axis=1)
        batch, length = ops.shape(tokens)[:2]
        return ops.reshape(found, (batch, length, self.width))

    def _heads(self, x):
        batch, length = ops.shape(x)[:2]
        return ops.reshape(x, (batch, length, self.heads, self.width // self.heads))

    def _rotated(self, x, rotary):
        """Heads [B, N, heads, D] of which the last ones are turned."""
        others = ops.shape(x)[1] - ops.shape(rotary)[2]
        turned = rotate(x[:, others:], rotary[:, 0], rotary[:, 1])
        return ops.concatenate([x[:, :others], turned], axis=1)

    def compute_output_spec(self, tokens, rotary=None, visible=None):
        """As the tokens; their number may be unknown."""
        return keras.KerasTensor(tokens.shape, self.compute_dtype)
