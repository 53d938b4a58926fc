"""The box head of Mask R-CNN: what it says of regions, what it learns from, and the instances that it finds."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.layers.rpn import rows_at, target_deltas
from tfpanoptic.ops.boxes import clip_boxes, decode_boxes
from tfpanoptic.ops.detections import detect_by_class, detect_over_classes
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.regions import match_regions, sample_matches
from tfpanoptic.ops.roi_align import roi_align

# Factors of (dy, dx) and (dh, dw) in the deltas of regions. Source: Detectron2, `ROI_BOX_HEAD.BBOX_REG_WEIGHTS`.
DELTA_WEIGHTS = (10.0, 5.0)


@keras.saving.register_keras_serializable(package="tfpanoptic")
class BoxHead(keras.layers.Layer):
    """Levels and regions -> logits [B, R, outputs] and deltas [B, R, classes, 4], float32 under any policy.

    Features of 7 x 7 cells, two fully connected layers with ReLU, and two linear ones. Deltas are (dy, dx, dh, dw).

    Args:
        strides: of the levels in pixels.
        channels: of the fully connected layers.
        outputs: channels of the logits, the background's with them.
        classes: that have deltas of their own.
        sampling_ratio, aligned: as in `ops/roi_align.py`.

    Source: Lin et al. 2017, section 5.2; initialisation of Detectron2 `modeling/roi_heads/{box_head,fast_rcnn}.py`.
    """

    SIZE = 7

    def __init__(
        self,
        strides: tuple[int, ...],
        channels: int,
        outputs: int,
        classes: int,
        sampling_ratio: int = 0,
        aligned: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs, autocast=False)
        self.strides, self.channels, self.outputs, self.classes = tuple(strides), channels, outputs, classes
        self.sampling_ratio, self.aligned = sampling_ratio, aligned
        dense = keras.layers.Dense
        # Detectron2's "c2_xavier_fill".
        uniform = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        hidden = {"activation": "relu", "kernel_initializer": uniform, "dtype": self.dtype_policy}
        self.fc1, self.fc2 = dense(channels, name="fc1", **hidden), dense(channels, name="fc2", **hidden)
        normal = keras.initializers.RandomNormal
        self.logits = dense(outputs, kernel_initializer=normal(stddev=0.01), dtype="float32", name="class_logits")
        self.deltas = dense(4 * classes, kernel_initializer=normal(stddev=0.001), dtype="float32", name="deltas")

    def build(self, levels_shape, regions_shape):
        """Creates the weights of the four fully connected layers."""
        self.fc1.build((None, self.SIZE * self.SIZE * levels_shape[0][-1]))
        for layer in (self.fc2, self.logits, self.deltas):
            layer.build((None, self.channels))

    def call(self, levels, regions):
        """Logits and deltas.

        Args:
            levels: list of features [B, h, w, C].
            regions: float32 [B, R, 4] in pixels.
        """
        batch, count = ops.shape(regions)[:2]
        features = roi_align(levels, self.strides, regions, self.SIZE, self.sampling_ratio, self.aligned)
        features = ops.cast(ops.reshape(features, (batch * count, self.fc1.kernel.shape[0])), self.compute_dtype)
        x = self.fc2(self.fc1(features))
        logits = ops.reshape(self.logits(x), (batch, count, self.outputs))
        return logits, ops.reshape(self.deltas(x), (batch, count, self.classes, 4))

    def compute_output_spec(self, levels, regions):
        """As many rows as regions, float32."""
        shape = regions.shape[:2]
        return keras.KerasTensor((*shape, self.outputs)), keras.KerasTensor((*shape, self.classes, 4))


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SampleRegions(keras.layers.Layer):
    """The regions that the box and the mask head learn from, S of each image, foreground first.

    Candidates are the proposals and, after them, the true boxes.

    Args:
        count: S.
        fraction: largest share of foreground.
        foreground: intersection over union from which a region is foreground.
        draw: sets the samples of one network apart; this one and the next are used.
    """

    def __init__(self, count: int, fraction: float, foreground: float, draw: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)
        self.count, self.fraction, self.foreground, self.draw = count, fraction, foreground, draw

    def call(self, proposals, scores, boxes, box_category, seed):
        """What the heads and `region_terms` of `losses/detection.py` need.

        Args:
            proposals, scores: of `Proposals`.
            boxes: float32 [B, N, 4], the true boxes.
            box_category: int32 [B, N], 0 in empty places.
            seed: int32 [B, 2].

        Returns:
            `regions` float32 [B, S, 4]
            `region_targets` float32 [B, S, 4], deltas to the true boxes, 0 but for foreground
            `region_category` int32 [B, S], 0 background, -1 empty
            `region_place` int32 [B, S], the true box of each region
        """
        candidates = ops.concatenate([proposals, boxes], axis=1)
        exists = ops.concatenate([scores > LOWEST, box_category > 0], axis=1)
        matches = match_regions(candidates, exists, boxes, box_category > 0, self.foreground)
        index, label = sample_matches(matches, seed, self.count, self.fraction, self.draw)
        regions = rows_at(candidates, index)
        place = ops.take_along_axis(matches.place, index, axis=1)
        category = ops.where(label > 0, ops.take_along_axis(box_category, place, axis=1), label)
        targets = target_deltas(regions, boxes, matches.place, index, label > 0, DELTA_WEIGHTS)
        return {
            "regions": regions,
            "region_targets": targets,
            "region_category": category,
            "region_place": place,
        }

    def compute_output_spec(self, proposals, scores, boxes, box_category, seed):
        """Categories and places are integers."""
        shape = (proposals.shape[0], self.count)
        return {
            "regions": keras.KerasTensor((*shape, 4)),
            "region_targets": keras.KerasTensor((*shape, 4)),
            "region_category": keras.KerasTensor(shape, dtype="int32"),
            "region_place": keras.KerasTensor(shape, dtype="int32"),
        }


@keras.saving.register_keras_serializable(package="tfpanoptic")
class DetectInstances(keras.layers.Layer):
    """The instances that a box head finds: a fixed number, the best first, zeros in empty places.

    Args:
        channels: category id of each channel of the logits, 0 for background.
        classes: category id of each class of the deltas.
        count: N.
        score: probability up to which a class of a region is passed over.
        overlap: intersection over union above which the worse of two boxes goes.
        over_classes: whether boxes of different classes suppress each other, too (UPSNet).
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        classes: tuple[int, ...],
        count: int,
        score: float,
        overlap: float,
        over_classes: bool = False,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)
        self.channels, self.classes = tuple(channels), tuple(classes)
        self.count, self.score, self.overlap, self.over_classes = count, score, overlap, over_classes

    def call(self, proposals, proposal_scores, logits, deltas, valid_size):
        """Boxes float32 [B, N, 4], scores float32 [B, N], and class int32 [B, N], an index of `classes`.

        Args:
            proposals, proposal_scores: of `Proposals`.
            logits, deltas: of `BoxHead` for them.
            valid_size: int32 [B, 2]; boxes are clipped to it.
        """
        batch, count, classes = ops.shape(deltas)[:3]
        columns = ops.convert_to_tensor([self.channels.index(category) for category in self.classes], "int32")
        scores = ops.take(ops.softmax(logits, axis=-1), columns, axis=2)
        scores = ops.where(ops.expand_dims(proposal_scores > LOWEST, -1), scores, 0.0)
        boxes = decode_boxes(deltas, ops.expand_dims(proposals, 2), DELTA_WEIGHTS)
        boxes = clip_boxes(ops.reshape(boxes, (batch, count * classes, 4)), valid_size)
        boxes = ops.reshape(boxes, (batch, count, classes, 4))
        detect = detect_over_classes if self.over_classes else detect_by_class
        found = detect(boxes, scores, self.count, self.score, self.overlap)
        return found.boxes, found.scores, found.index

    def compute_output_spec(self, proposals, proposal_scores, logits, deltas, valid_size):
        """The classes are integers."""
        shape = (proposals.shape[0], self.count)
        kinds = ((*shape, 4), "float32"), (shape, "float32"), (shape, "int32")
        return tuple(keras.KerasTensor(size, dtype=dtype) for size, dtype in kinds)
