"""The mask head of Mask R-CNN."""

from __future__ import annotations

import itertools

import keras
from keras import ops

from tfpanoptic.ops.roi_align import roi_align

# Regions of an image that a loop over wanted ones takes at once. Own choice: 20 keep both cores of a small machine
# busy, and an image rarely has many fewer things.
TOGETHER = 20


@keras.saving.register_keras_serializable(package="tfpanoptic")
class OfClass(keras.layers.Layer):
    """A 1x1 convolution of which each region needs one channel: [n, cells, C] and a channel of each -> [n, cells, 1].

    Args:
        channels: that there are.
        initializer: of the kernel.
    """

    def __init__(self, channels: int, initializer, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.initializer = channels, keras.initializers.get(initializer)

    def build(self, cells_shape, index_shape):
        """Creates the weights of all channels, as a convolution has them."""
        self.kernel = self.add_weight((1, 1, cells_shape[-1], self.channels), self.initializer, name="kernel")
        self.bias = self.add_weight((self.channels,), "zeros", name="bias")

    def call(self, cells, index):
        """The channel `index` int32 [n] of each region's cells."""
        kernel = ops.take(ops.transpose(self.kernel[0, 0]), index, axis=0)  # [n, C]
        return ops.matmul(cells, ops.expand_dims(kernel, -1)) + ops.reshape(ops.take(self.bias, index), (-1, 1, 1))


@keras.saving.register_keras_serializable(package="tfpanoptic")
class MaskHead(keras.layers.Layer):
    """Levels, boxes and a class of each -> mask logits of that class, float32 [B, N, 2 * size, 2 * size].

    Features of `size` x `size` cells, 3x3 convolutions with ReLU, a transposed 2x2 convolution with ReLU, and a 1x1
    convolution to a channel for each class.

    Args:
        strides: of the levels in pixels.
        channels: of the convolutions.
        convs: number of 3x3 convolutions.
        classes: K.
        size: cells of the features along each side.
        sampling_ratio, aligned: as in `ops/roi_align.py`.

    Source: He et al. 2017 (Mask R-CNN), figure 4; initialisation of Detectron2 `modeling/roi_heads/mask_head.py`.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        channels: int,
        convs: int,
        classes: int,
        size: int = 14,
        sampling_ratio: int = 0,
        aligned: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs, autocast=False)
        self.strides, self.channels, self.size = tuple(strides), channels, size
        self.sampling_ratio, self.aligned = sampling_ratio, aligned
        # Detectron2's "c2_msra_fill".
        start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        common = {"activation": "relu", "kernel_initializer": start, "dtype": self.dtype_policy}
        conv = keras.layers.Conv2D
        self.convs = [conv(channels, 3, padding="same", name=f"conv{i}", **common) for i in range(1, convs + 1)]
        self.deconv = keras.layers.Conv2DTranspose(channels, 2, strides=2, name="deconv", **common)
        small = keras.initializers.RandomNormal(stddev=0.001)
        self.logits = OfClass(classes, small, dtype="float32", name="logits")

    def build(self, levels_shape, boxes_shape, index_shape, wanted_shape=None):
        """Creates the weights of all convolutions."""
        shape = (None, self.size, self.size, levels_shape[0][-1])
        for conv in (*self.convs, self.deconv):
            conv.build(shape)
            shape = (*shape[:-1], self.channels)
        self.logits.build((None, self.size**2, self.channels), None)

    def call(self, levels, boxes, index, wanted=None):
        """The mask logits.

        Args:
            levels: list of features [B, h, w, C].
            boxes: float32 [B, N, 4] in pixels.
            index: int32 [B, N], the class of each box, 0..K - 1.
            wanted: int32 [B], boxes from the first on whose masks are computed, the rest is 0; all of them without it.
                Saves the work of those that nobody will look at, but passes no gradient.
        """
        batch, count = ops.shape(index)
        if wanted is not None:
            place = ops.expand_dims(ops.arange(count, dtype="int32"), 0)
            boxes = ops.where(ops.expand_dims(place < ops.expand_dims(wanted, 1), -1), boxes, 0.0)
        features = roi_align(levels, self.strides, boxes, self.size, self.sampling_ratio, self.aligned)
        features = ops.cast(features, self.compute_dtype)
        if wanted is None:
            return self._masks(features, index)
        together = min(TOGETHER, count)
        most = ops.max(wanted)

        def add(start, masks):
            # The last group starts early enough to be whole.
            rows = ops.minimum(start, count - together) + ops.arange(together, dtype="int32")
            new = self._masks(ops.take(features, rows, axis=1), ops.take(index, rows, axis=1))
            there = ops.expand_dims(ops.arange(count, dtype="int32"), 1) == ops.expand_dims(rows, 0)  # [N, together]
            moved = ops.take(new, ops.argmax(ops.cast(there, "int32"), axis=1), axis=1)
            return start + together, ops.where(ops.reshape(ops.any(there, axis=1), (1, -1, 1, 1)), moved, masks)

        start = ops.zeros((batch, count, 2 * self.size, 2 * self.size), "float32")
        masks = ops.while_loop(lambda start, _: start < most, add, (ops.convert_to_tensor(0, "int32"), start))[1]
        inside = ops.reshape(place < ops.expand_dims(wanted, 1), (batch, count, 1, 1))
        return ops.where(inside, masks, 0.0)

    def _masks(self, features, index):
        """Logits [B, n, 2 * size, 2 * size] of features [B, n, size, size, C] for their classes."""
        batch, count = ops.shape(index)
        x = ops.reshape(features, (batch * count, self.size, self.size, ops.shape(features)[-1]))
        for conv in self.convs:
            x = conv(x)
        # The transposed convolution gives each cell four of its own, and only one class's logit of them is asked for:
        # no map of twice the size with all channels, and none with all classes, ever exists.
        x = ops.reshape(x, (batch * count, self.size**2, self.channels))
        index = ops.reshape(index, (-1,))
        kernel, bias = (ops.cast(weight, x.dtype) for weight in (self.deconv.kernel, self.deconv.bias))
        quarters = []
        for row, column in itertools.product((0, 1), (0, 1)):
            quarter = ops.relu(ops.matmul(x, ops.transpose(kernel[row, column])) + bias)
            quarters.append(self.logits(quarter, index))
        cells = ops.reshape(ops.concatenate(quarters, axis=-1), (batch, count, self.size, self.size, 2, 2))
        masks = ops.transpose(cells, (0, 1, 2, 4, 3, 5))
        return ops.reshape(masks, (batch, count, 2 * self.size, 2 * self.size))

    def compute_output_spec(self, levels, boxes, index, wanted=None):
        """One mask a box, float32."""
        return keras.KerasTensor((*index.shape, 2 * self.size, 2 * self.size))
