"""The region proposal network: its head, its proposals, and the anchors that it learns from."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.anchors import grid_anchors
from tfpanoptic.ops.boxes import encode_boxes
from tfpanoptic.ops.proposals import propose
from tfpanoptic.ops.regions import match_anchors, sample_matches


@keras.saving.register_keras_serializable(package="tfpanoptic")
class RPNHead(keras.layers.Layer):
    """Levels [B, h, w, C] -> of each level objectness [B, h, w, A] and deltas [B, h, w, 4 * A], float32.

    One 3x3 convolution with ReLU, then two 1x1 convolutions; the same weights for all levels. Deltas are
    (dy, dx, dh, dw) of each anchor after the other.

    Args:
        channels: of the 3x3 convolution.
        anchors: A, anchors of a cell.

    Source: Ren et al. 2015; initialisation of Detectron2 `modeling/proposal_generator/rpn.py`.
    """

    def __init__(self, channels: int = 256, anchors: int = 3, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.anchors = channels, anchors
        start = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01)}
        self.conv = keras.layers.Conv2D(
            channels, 3, padding="same", activation="relu", dtype=self.dtype_policy, name="conv", **start
        )
        self.objectness = keras.layers.Conv2D(anchors, 1, dtype="float32", name="objectness", **start)
        self.deltas = keras.layers.Conv2D(4 * anchors, 1, dtype="float32", name="deltas", **start)

    def build(self, input_shape):
        """Creates the weights, which all levels share."""
        self.conv.build(input_shape[0])
        for head in (self.objectness, self.deltas):
            head.build((*input_shape[0][:-1], self.channels))

    def call(self, levels):
        """A list with the objectness of each level, and one with the deltas."""
        hidden = [self.conv(level) for level in levels]
        return [self.objectness(x) for x in hidden], [self.deltas(x) for x in hidden]

    def compute_output_shape(self, input_shape):
        """The grids of the levels."""
        return tuple([(*shape[:-1], size * self.anchors) for shape in input_shape] for size in (1, 4))


def anchors_of_levels(levels: list, strides: tuple[int, ...], sizes: tuple[float, ...], ratios: tuple[float, ...]):
    """The anchors float32 `[n, 4]` of each level, for outputs `[B, h, w, *]` of the head."""
    grids = [ops.shape(level)[1:3] for level in levels]
    return [grid_anchors(grid, stride, size, ratios) for grid, stride, size in zip(grids, strides, sizes, strict=True)]


def flattened(levels: list, size: int) -> list:
    """Outputs `[B, h, w, A * size]` as `[B, h * w * A, size]`; `[B, h * w * A]` where `size` is 1."""
    shape = (-1,) if size == 1 else (-1, size)
    return [ops.reshape(level, (ops.shape(level)[0], *shape)) for level in levels]


@keras.saving.register_keras_serializable(package="tfpanoptic")
class Proposals(keras.layers.Layer):
    """The best boxes of an RPN: float32 [B, count, 4] and their logits [B, count]; see `ops/proposals.py`.

    Args:
        strides: of each level in pixels.
        sizes: side of the square anchor of each level in pixels.
        ratios: height over width of the anchors of a cell.
        per_level, count, overlap: as in `propose`.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        sizes: tuple[float, ...],
        ratios: tuple[float, ...],
        per_level: int,
        count: int,
        overlap: float,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)
        self.anchors = (tuple(strides), tuple(sizes), tuple(ratios))
        self.per_level, self.count, self.overlap = per_level, count, overlap

    def call(self, logits, deltas, valid_size):
        """Boxes and logits, the best first.

        Args:
            logits, deltas: lists, outputs of `RPNHead`.
            valid_size: int32 [B, 2].
        """
        anchors = anchors_of_levels(logits, *self.anchors)
        logits, deltas = flattened(logits, 1), flattened(deltas, 4)
        return propose(logits, deltas, anchors, valid_size, self.per_level, self.count, self.overlap)

    def compute_output_spec(self, logits, deltas, valid_size):
        """Fixed numbers of boxes, whatever the sizes of the levels."""
        batch = logits[0].shape[0]
        return keras.KerasTensor((batch, self.count, 4)), keras.KerasTensor((batch, self.count))


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SampleAnchors(keras.layers.Layer):
    """The anchors that an RPN learns from, S of each image, with what it says of them.

    Args:
        strides, sizes, ratios: as in `Proposals`.
        count: S.
        fraction: largest share of positive ones.
        positive, negative: as in `match_anchors`.
        draw: sets the samples of one network apart; this one and the next are used.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        sizes: tuple[float, ...],
        ratios: tuple[float, ...],
        count: int,
        fraction: float,
        positive: float,
        negative: float,
        draw: int,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)
        self.anchors = (tuple(strides), tuple(sizes), tuple(ratios))
        self.count, self.fraction, self.draw = count, fraction, draw
        self.positive, self.negative = positive, negative

    def call(self, logits, deltas, boxes, box_category, seed):
        """What `anchor_terms` of `losses/detection.py` needs.

        Args:
            logits, deltas: lists, outputs of `RPNHead`.
            boxes: float32 [B, N, 4], the true boxes.
            box_category: int32 [B, N], 0 in empty places.
            seed: int32 [B, 2].

        Returns:
            `anchor_logits` float32 [B, S]
            `anchor_deltas` float32 [B, S, 4]
            `anchor_targets` float32 [B, S, 4], deltas to the true boxes, 0 but for positive ones
            `anchor_label` int32 [B, S], 1 positive, 0 negative, -1 empty
        """
        anchors = ops.concatenate(anchors_of_levels(logits, *self.anchors), axis=0)
        matches = match_anchors(anchors, boxes, box_category > 0, self.positive, self.negative)
        index, label = sample_matches(matches, seed, self.count, self.fraction, self.draw)
        return {
            "anchor_logits": ops.take_along_axis(ops.concatenate(flattened(logits, 1), axis=1), index, axis=1),
            "anchor_deltas": rows_at(ops.concatenate(flattened(deltas, 4), axis=1), index),
            "anchor_targets": target_deltas(ops.take(anchors, index, axis=0), boxes, matches.place, index, label > 0),
            "anchor_label": label,
        }

    def compute_output_spec(self, logits, deltas, boxes, box_category, seed):
        """The labels are integers, and the levels may have any size."""
        shape = (logits[0].shape[0], self.count)
        return {
            "anchor_logits": keras.KerasTensor(shape),
            "anchor_deltas": keras.KerasTensor((*shape, 4)),
            "anchor_targets": keras.KerasTensor((*shape, 4)),
            "anchor_label": keras.KerasTensor(shape, dtype="int32"),
        }


def rows_at(values, index):
    """Rows `[B, S, C]` of values `[B, A, C]` at `index` int32 `[B, S]`."""
    return ops.take_along_axis(values, ops.expand_dims(index, -1), axis=1)


def target_deltas(references, boxes, place, index, positive, weights: tuple[float, float] = (1.0, 1.0)):
    """Deltas from sampled references to their true boxes, float32 `[B, S, 4]`; 0 but for positive ones.

    Args:
        references: float32 `[B, S, 4]`, the sampled anchors or proposals.
        boxes: float32 `[B, N, 4]`, the true boxes.
        place: int32 `[B, A]`, the true box of each candidate.
        index: int32 `[B, S]`, the sampled candidates.
        positive: bool `[B, S]`.
        weights: as in `encode_boxes`.
    """
    truth = rows_at(boxes, ops.take_along_axis(place, index, axis=1))
    positive = ops.expand_dims(positive, -1)
    # Others may have no area; their deltas are not used, but a sum with 0 * inf would be.
    unit = ops.convert_to_tensor([0.0, 0.0, 1.0, 1.0], "float32")
    deltas = encode_boxes(ops.where(positive, truth, unit), ops.where(positive, references, unit), weights)
    return ops.where(positive, deltas, 0.0)
