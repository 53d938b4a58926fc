"""The feature pyramid: features of one width at every stride."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfpanoptic")
class FeaturePyramid(keras.layers.Layer):
    """Maps [B, h, w, *] of strides 4 to 32 -> the levels [B, h, w, channels] of strides 4 to 64, from fine to coarse.

    Each map passes a 1x1 convolution, the coarser level is added, enlarged by repetition, and a 3x3 convolution makes
    the level. Every second cell of the last one is one level more. Convolutions are linear, without normalisation.

    Args:
        channels: of all levels.
        global_context: whether the mean of the coarsest map, projected, is added to it (UPSNet on COCO).

    Source: Lin et al. 2017; Detectron2 `modeling/backbone/fpn.py` (repetition, order, `LastLevelMaxPool`), names of the
    levels by the logarithm of their stride; UPSNet `models/fpn.py` for the context.
    """

    FINEST = 2

    def __init__(self, channels: int = 256, global_context: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.context = keras.layers.Dense(channels, dtype=self.dtype_policy, name="context") if global_context else None

    def build(self, input_shape):
        """Creates the weights of all levels."""
        numbers = range(self.FINEST, self.FINEST + len(input_shape))
        self.laterals = [self._conv(1, f"lateral{number}") for number in numbers]
        self.outputs = [self._conv(3, f"output{number}") for number in numbers]
        for lateral, output, shape in zip(self.laterals, self.outputs, input_shape, strict=True):
            lateral.build(shape)
            output.build((*shape[:-1], self.channels))
        if self.context is not None:
            self.context.build((None, input_shape[-1][-1]))

    def _conv(self, kernel_size: int, name: str):
        # Uniform within sqrt(3 / fan_in), as "c2_xavier_fill" of Detectron2.
        return keras.layers.Conv2D(
            self.channels,
            kernel_size,
            padding="same",
            kernel_initializer=keras.initializers.VarianceScaling(1.0, "fan_in", "uniform"),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, maps):
        """The levels of a list of maps, each half as large as the one before."""
        merged = self.laterals[-1](maps[-1])
        if self.context is not None:
            mean = self.context(ops.mean(maps[-1], axis=(1, 2)))
            merged = merged + ops.expand_dims(ops.expand_dims(mean, 1), 1)
        levels = [self.outputs[-1](merged)]
        for lateral, output, finer in reversed(list(zip(self.laterals, self.outputs, maps))[:-1]):
            merged = lateral(finer) + ops.repeat(ops.repeat(merged, 2, axis=1), 2, axis=2)
            levels.insert(0, output(merged))
        return [*levels, levels[-1][:, ::2, ::2]]

    def compute_output_shape(self, input_shape):
        """The maps' grids, `channels` wide, and one of half the last one, rounded up."""
        grids = [tuple(shape[1:3]) for shape in input_shape]
        grids.append(tuple(None if side is None else -(-side // 2) for side in grids[-1]))
        return [(input_shape[0][0], *grid, self.channels) for grid in grids]
