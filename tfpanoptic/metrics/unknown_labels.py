"""Labels that no panoptic map of a category table has: found in graph, and never counted.

A map of another origin, such as category ids alone, maps of another divisor or -1 for nothing, has labels without
a category, or numbers stuff. They are an error that names the label, where an error is possible: at once in eager
code, and by an assertion in a graph. XLA leaves assertions out of what it compiles. So the labels are kept in the
state of the metric, too: `result` and `summary` raise afterwards, and inside a graph every result is NaN.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.ops.tensorflow_only import require_tensorflow
from tfpanoptic.panoptic_map import LABEL_DIVISOR, MAX_INSTANCE, VOID, category_of

SIDES = ("truth", "prediction")


class UnknownLabels:
    """The unknown labels of all maps that a metric has seen since its last reset.

    Args:
        metric: gets the state: `unknown_pixels`, int64 `[2]`, and `unknown_label`, int64 `[2]`, one unknown label of
            each side, 0 for none. Replicas are asked one by one for their label.
        categories: the category table of both maps.

    Raises:
        InputError: Keras runs on another backend than TensorFlow, or there are more categories than the labels of
            panoptic maps have room for.
    """

    def __init__(self, metric: keras.metrics.Metric, categories: CategoryTable):
        require_tensorflow(type(metric).__name__)
        self._categories = categories.require_panoptic_map()
        # Whether each label below the last category's end is known: one look-up a pixel. Void has no instances.
        largest = np.where(categories.isthing, MAX_INSTANCE, 0)
        self._known = (np.arange(LABEL_DIVISOR) <= largest[:, None]).reshape(-1)
        self.pixels = metric.add_variable((2,), "zeros", "int64", name="unknown_pixels")
        self.label = metric.add_variable((2,), "zeros", "int64", name="unknown_label")

    def left_out(self, truth, prediction) -> tuple[tf.Tensor, tf.Tensor]:
        """Both maps of a batch as int64 `[B, H, W]`, void where a label is unknown.

        Args:
            truth, prediction: panoptic maps, integers `[B, H, W]`.

        Raises:
            ValueError: one is no integer `[B, H, W]`, or their shapes differ.
            InputError: a label is unknown, in eager code.
            tf.errors.InvalidArgumentError: it is, and the graph runs without XLA.
        """
        require_maps(truth, prediction)
        maps = [tf.cast(labels, tf.int64) for labels in (truth, prediction)]
        nothing = tf.zeros(2, tf.int64)
        pixels, label, *known = tf.cond(
            tf.reduce_all([self._all_known(labels) for labels in maps]),
            lambda: (nothing, nothing, *maps),
            lambda: _found(maps, [self._unknown(labels) for labels in maps]),
        )
        if tf.executing_eagerly():
            self._require_none(pixels.numpy(), label.numpy())
        with tf.control_dependencies(self._assertions(label)):
            self.pixels.assign_add(pixels)
            self.label.assign(tf.where(tf.convert_to_tensor(self.label) == 0, label, self.label))
            return tuple(tf.identity(labels) for labels in known)

    def require_none(self) -> None:
        """Raises InputError in eager code if there was any, which names a label."""
        if tf.executing_eagerly():
            labels = next((row for row in _of_replicas(self.label) if row.any()), np.zeros(2, np.int64))
            self._require_none(keras.ops.convert_to_numpy(self.pixels), labels)

    def checked(self, value):
        """A result as it is, or NaN if there was any unknown label: for graphs, where nothing can be raised."""
        return tf.where(tf.reduce_any(tf.convert_to_tensor(self.pixels) > 0), tf.constant(np.nan, value.dtype), value)

    def _all_known(self, labels):
        """Whether no label is unknown, bool `[]`: as few passes over the pixels as that takes."""
        inside = (tf.reduce_min(labels) >= 0) & (tf.reduce_max(labels) < len(self._known))
        return tf.cond(inside, lambda: tf.reduce_all(tf.gather(self._known, labels)), lambda: tf.constant(False))

    def _unknown(self, labels):
        """bool, where a label is negative, beyond the last category, of none, or numbers stuff."""
        within = tf.clip_by_value(labels, 0, len(self._known) - 1)  # beyond a table, GPUs gather 0 and CPUs fail
        return (labels != within) | ~tf.gather(self._known, within)

    def _require_none(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        for side, count, label in zip(SIDES, pixels.tolist(), labels.tolist(), strict=True):
            if count:
                raise InputError(f"{side}: label {label} {self._expected(label)}; pixels of such labels: {count}")

    def _expected(self, label: int) -> str:
        if 0 < category_of(label) <= len(self._categories):
            name = self._categories[category_of(label)].name
            return f"numbers an instance of {name}, which is stuff; expected {LABEL_DIVISOR} * category + 0"
        return (
            f"is of no category; expected 0 for void, or {LABEL_DIVISOR} * category + instance, "
            f"categories 1..{len(self._categories)}"
        )

    def _assertions(self, label) -> list:
        words = f"is no label of a panoptic map of categories 1..{len(self._categories)}: expected 0 for void, or "
        words += f"{LABEL_DIVISOR} * category + instance, instance 0 for stuff"
        return [
            tf.debugging.Assert(label[number] == 0, [f"{side}: label", label[number], words])
            for number, side in enumerate(SIDES)
        ]


def require_maps(truth, prediction) -> None:
    """Checks a batch as far as it is known before the graph runs.

    Raises:
        ValueError: one is no integer `[B, H, W]`, or their shapes differ.
    """
    for name, labels in zip(SIDES, (truth, prediction), strict=True):
        shape = tf.TensorShape(labels.shape)
        if shape.rank not in (None, 3) or not tf.as_dtype(labels.dtype).is_integer:
            dtype = tf.as_dtype(labels.dtype).name
            raise ValueError(f"{name}: expected a batch of panoptic maps, int32 [B, H, W], found {dtype} {shape}")
    if not tf.TensorShape(truth.shape).is_compatible_with(prediction.shape):
        raise ValueError(f"truth is {tuple(truth.shape)}, prediction is {tuple(prediction.shape)}; expected one shape")


def _found(maps, unknown) -> tuple:
    """Pixels and one label of the unknown of each side, int64 `[2]` each, and both maps with void in their place."""
    pixels = [tf.math.count_nonzero(mask) for mask in unknown]
    label = [_one_of(labels, mask) for labels, mask in zip(maps, unknown, strict=True)]
    known = [tf.where(mask, tf.constant(VOID, tf.int64), m) for m, mask in zip(maps, unknown, strict=True)]
    return tf.stack(pixels), tf.stack(label), *known


def _one_of(labels, unknown):
    """One of the unknown labels, int64 `[]`, 0 if there is none."""
    found = tf.where(unknown, labels, VOID)
    # The extremes of nothing are those of int64.
    smallest, largest = tf.minimum(tf.reduce_min(found), 0), tf.maximum(tf.reduce_max(found), 0)
    return tf.where(smallest < 0, smallest, largest)


def _of_replicas(variable: keras.Variable) -> list[np.ndarray]:
    """The values that a variable has on each replica: those of labels cannot be summed."""
    return [keras.ops.convert_to_numpy(value) for value in getattr(variable.value, "values", (variable.value,))]
