"""The tokens of a vision transformer: what lies before those of the patches, and how patches become a grid again."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.bicubic import bicubic_matrix

# Source: DINOv2 with registers and DINOv3.
REGISTERS = 4
# Tokens before those of the patches: the class and the registers.
PREFIX = 1 + REGISTERS


@keras.saving.register_keras_serializable(package="tfpanoptic")
class PatchTokens(keras.layers.Layer):
    """Patches [B, h, w, C] -> class, register and patch tokens [B, 5 + h * w, C], patches row by row.

    Args:
        positions: (rows, columns) of the learned table of positions; patches of another grid get it resized (bicubic,
            filtered against aliasing). None: nothing is added.
        class_deviation: of the class token before training.

    Source: DINOv2 and DINOv3; class and registers have no position. timm adds the class token's own position to it.
    """

    def __init__(self, positions: tuple[int, int] | None = None, class_deviation: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        self.grid: tuple[int, int] | None = None if positions is None else (positions[0], positions[1])
        self.class_deviation = class_deviation

    def build(self, patches_shape):
        """Creates the tokens and the table."""
        width = patches_shape[-1]
        normal, truncated = keras.initializers.RandomNormal, keras.initializers.TruncatedNormal
        start = normal(stddev=self.class_deviation)
        self.class_token = self.add_weight((1, 1, width), start, name="class_token")
        self.register_tokens = self.add_weight((1, REGISTERS, width), normal(stddev=1e-6), name="register_tokens")
        if self.grid is not None:
            rows, columns = self.grid
            self.positions = self.add_weight((rows * columns, width), truncated(stddev=0.02), name="positions")

    def call(self, patches):
        """The row of tokens."""
        batch, height, width, channels = ops.shape(patches)
        if self.grid is not None:
            patches = patches + ops.cast(self._positions_on(self.grid, (height, width)), patches.dtype)
        before = ops.cast(ops.concatenate([self.class_token, self.register_tokens], axis=1), patches.dtype)
        before = ops.tile(before, (batch, 1, 1))
        return ops.concatenate([before, ops.reshape(patches, (batch, height * width, channels))], axis=1)

    def _positions_on(self, grid, size):
        """The table of a grid on another one, float32 [h, w, C]."""
        table = ops.reshape(ops.cast(self.positions, "float32"), (*grid, -1))
        if all(isinstance(side, int) for side in size) and grid == size:
            return table
        matrices = (bicubic_matrix(old, new) for old, new in zip(grid, size, strict=True))
        down, across = (ops.cast(matrix, "float32") for matrix in matrices)
        return ops.einsum("yi,xj,ijc->yxc", down, across, table)

    def compute_output_spec(self, patches):
        """Height and width may be unknown."""
        batch, height, width, channels = patches.shape
        count = None if height is None or width is None else PREFIX + height * width
        return keras.KerasTensor((batch, count, channels), patches.dtype)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class QueryTokens(keras.layers.Layer):
    """Tokens [B, N, C] -> learned queries before them, [B, Q + N, C], the same for all images.

    Args:
        queries: Q.

    Source: EoMT `models/eomt.py`; N(0, 1) before training.
    """

    def __init__(self, queries: int, **kwargs):
        super().__init__(**kwargs)
        self.queries = queries

    def build(self, tokens_shape):
        """Creates the table of queries."""
        self.table = self.add_weight(
            (self.queries, tokens_shape[-1]), keras.initializers.RandomNormal(stddev=1.0), name="table"
        )

    def call(self, tokens):
        """The longer row."""
        queries = ops.tile(ops.expand_dims(ops.cast(self.table, tokens.dtype), 0), (ops.shape(tokens)[0], 1, 1))
        return ops.concatenate([queries, tokens], axis=1)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class FirstTokens(keras.layers.Layer):
    """The first tokens of a row [B, N, C], as many as there are queries, [B, Q, C].

    Args:
        count: Q, which the result's shape states even where N is unknown.
    """

    def __init__(self, count: int, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, tokens):
        """These tokens."""
        return ops.reshape(tokens[:, : self.count], (ops.shape(tokens)[0], self.count, tokens.shape[-1]))


@keras.saving.register_keras_serializable(package="tfpanoptic")
class PatchGrid(keras.layers.Layer):
    """The last tokens of a row [B, N, C] as the grid of patches that they are, [B, h, w, C]."""

    def call(self, tokens, patches):
        """The grid.

        Args:
            tokens: float [B, N, C].
            patches: [B, h, w, ...]; only its height and width matter.
        """
        height, width = ops.shape(patches)[1:3]
        last = tokens[:, ops.shape(tokens)[1] - height * width :]
        return ops.reshape(last, (ops.shape(tokens)[0], height, width, tokens.shape[-1]))

    def compute_output_spec(self, tokens, patches):
        """Height and width may be unknown."""
        return keras.KerasTensor((*patches.shape[:3], tokens.shape[-1]), tokens.dtype)
