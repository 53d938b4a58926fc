"""The layers of the toy architecture."""

import keras
from keras import ops

from tfpanoptic.ops.sampling import choose, random_uniform


@keras.saving.register_keras_serializable("toy")
class SampleBoxes(keras.layers.Layer):
    """Centres float32 [B, K, 2], (y, x) in pixels, and categories int32 [B, K] of boxes chosen by the image's seed.

    The centre is moved at random by up to a quarter of the box.
    """

    def __init__(self, count, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.count = count

    def call(self, boxes, category, seed):
        index, chosen = choose(seed, category > 0, self.count)
        boxes = ops.take_along_axis(boxes, ops.expand_dims(index, -1), axis=1)
        shift = 0.25 + 0.5 * random_uniform(seed, (self.count, 2), draw=2)
        centers = boxes[..., :2] + shift * (boxes[..., 2:] - boxes[..., :2])
        return centers, ops.where(chosen, ops.take_along_axis(category, index, axis=1), 0)

    def compute_output_spec(self, boxes, category, seed):
        """The categories are integers, which Keras would not know."""
        batch = boxes.shape[0]
        return keras.KerasTensor((batch, self.count, 2)), keras.KerasTensor((batch, self.count), dtype="int32")


@keras.saving.register_keras_serializable("toy")
class FeaturesAt(keras.layers.Layer):
    """Features [B, K, C] of the cells of a map [B, h, w, C] at points (y, x) [B, K, 2] in pixels."""

    def __init__(self, stride, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.stride = stride

    def call(self, features, points):
        batch, height, width, depth = ops.shape(features)
        cell = ops.cast(ops.floor(points / self.stride), "int32")
        y, x = ops.clip(cell[..., 0], 0, height - 1), ops.clip(cell[..., 1], 0, width - 1)
        flat = ops.reshape(features, (batch, height * width, depth))
        return ops.take_along_axis(flat, ops.expand_dims(y * width + x, -1), axis=1)

    def compute_output_spec(self, features, points):
        """Height and width of the features may be unknown."""
        return keras.KerasTensor((*points.shape[:2], features.shape[-1]), dtype=features.dtype)


@keras.saving.register_keras_serializable("toy")
class Annealed(keras.layers.Layer):
    """Logits float32 [B, K, C] times 1 - 0.5 ** (step + 1) of each image."""

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, logits, step):
        scale = 1.0 - 0.5 ** (ops.cast(step, "float32") + 1.0)
        return logits * ops.reshape(scale, (-1, 1, 1))
