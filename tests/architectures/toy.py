"""A made-up two-stage architecture that needs all of the contract.

The boxes of the truth are inputs of its train network. It samples some of them by the image's seed, classifies the
features at their centres, and sharpens the logits with the step. Each term of the boxes is divided by the number of
sampled boxes, and one of them is an auxiliary term of an earlier layer. Inference classifies every cell with the same
head.
"""

from __future__ import annotations

from typing import Any, Literal

from tfpanoptic.architecture import Architecture, CategoryLayer, Networks, Segments
from tfpanoptic.panoptic_map import category_of, encode, instance_of
from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.sizes import Grid

STRIDE = 4


class ToyConfig(StrictConfig):
    """All settings."""

    name: Literal["toy"] = "toy"
    width: int = 8
    max_boxes: int = 6
    sampled_boxes: int = 4
    dropout: float = 0.3


def grid(config: ToyConfig) -> Grid:
    return Grid(STRIDE)


def channels(config: ToyConfig, categories) -> dict[str, tuple[int, ...]]:
    return {"semantic_logits": categories.ids, "box_logits": (0, *categories.thing_ids)}


def build(config: ToyConfig, categories) -> Networks:
    import keras

    from tests.architectures.toy_layers import Annealed, FeaturesAt, SampleBoxes
    from tfpanoptic.layers.conv import ConvNorm
    from tfpanoptic.layers.normalize_image import NormalizeImage
    from tfpanoptic.layers.seeded_dropout import SeededDropout

    image = keras.Input((None, None, 3), dtype="float32", name="image")
    valid_size = keras.Input((2,), dtype="int32", name="valid_size")
    seed = keras.Input((2,), dtype="int32", name="seed")
    step = keras.Input((), dtype="int32", name="step")
    boxes = keras.Input((config.max_boxes, 4), dtype="float32", name="boxes")
    box_category = keras.Input((config.max_boxes,), dtype="int32", name="box_category")

    x = NormalizeImage("symmetric", name="normalize")(image, valid_size)
    early = ConvNorm(config.width, 3, stride=2, name="stem1")(x)
    late = ConvNorm(config.width, 3, stride=2, name="stem2")(early)
    heads = {name: len(ids) for name, ids in channels(config, categories).items()}
    semantic_head = keras.layers.Conv2D(heads["semantic_logits"], 1, dtype="float32", name="semantic_head")
    box_head = keras.layers.Dense(heads["box_logits"], dtype="float32", name="box_head")
    early_head = keras.layers.Dense(heads["box_logits"], dtype="float32", name="early_head")
    dropout = SeededDropout(config.dropout, draw=1, name="dropout")

    centers, sampled_category = SampleBoxes(config.sampled_boxes, name="sample")(boxes, box_category, seed)
    train = {
        "semantic_logits": semantic_head(dropout(late, seed)),
        "box_logits": Annealed(name="annealed")(
            box_head(FeaturesAt(STRIDE, name="late_features")(late, centers)), step
        ),
        "early_box_logits": early_head(FeaturesAt(2, name="early_features")(early, centers)),
        "sampled_category": sampled_category,
    }
    infer = {"semantic_logits": semantic_head(dropout(late)), "box_logits": box_head(late)}
    inputs = {"image": image, "valid_size": valid_size}
    truth = {"seed": seed, "step": step, "boxes": boxes, "box_category": box_category}
    return Networks(keras.Model({**inputs, **truth}, train, name="toy"), keras.Model(inputs, infer, name="toy_infer"))


def targets(example: dict[str, Any], config: ToyConfig, categories) -> dict[str, Any]:
    """`semantic` int32 [H, W]; `boxes` float32 [N, 4], (y1, x1, y2, x2), and `box_category` int32 [N], 0 where none."""
    import tensorflow as tf

    panoptic = example["panoptic"]
    labels, segment = tf.unique(tf.reshape(panoptic, [-1]))
    height, width = tf.unstack(tf.shape(panoptic))
    y, x = (tf.reshape(c, [-1]) for c in tf.meshgrid(tf.range(height), tf.range(width), indexing="ij"))
    low, high = tf.math.unsorted_segment_min, tf.math.unsorted_segment_max
    count = tf.size(labels)
    sides = [low(y, segment, count), low(x, segment, count), high(y, segment, count) + 1, high(x, segment, count) + 1]
    boxes = tf.cast(tf.stack(sides, axis=1), tf.float32)
    is_instance = instance_of(labels) > 0
    # Where more fit in the image than there are places for, a seeded choice stays.
    priority = tf.where(is_instance, tf.random.stateless_uniform(tf.shape(labels), example["seed"]), -1.0)
    rows = tf.argsort(priority, direction="DESCENDING")[: config.max_boxes]
    kept = tf.gather(is_instance, rows)
    missing = config.max_boxes - tf.size(rows)
    boxes = tf.pad(tf.where(kept[:, None], tf.gather(boxes, rows), 0.0), [[0, missing], [0, 0]])
    category = tf.pad(tf.where(kept, category_of(tf.gather(labels, rows)), 0), [[0, missing]])
    return {
        "semantic": category_of(panoptic),
        "boxes": tf.ensure_shape(boxes, (config.max_boxes, 4)),
        "box_category": tf.ensure_shape(category, (config.max_boxes,)),
    }


def loss(outputs, targets, config: ToyConfig, categories) -> dict[str, Any]:
    """`semantic`: mean over an image's labelled pixels. `box`, `early_box`: sums over its sampled boxes."""
    from keras import ops

    from tfpanoptic.losses.classification import hard_pixel_cross_entropy
    from tfpanoptic.ops.resize import resize_bilinear

    declared = channels(config, categories)
    size = ops.shape(targets["semantic"])[1:3]
    logits = resize_bilinear(outputs["semantic_logits"], size, align_corners=False)
    ones = ops.ones(ops.shape(targets["semantic"]))
    places = ops.convert_to_tensor(
        [declared["box_logits"].index(i) if i in declared["box_logits"] else 0 for i in range(len(categories) + 1)],
        "int32",
    )
    truth = ops.take(places, outputs["sampled_category"], axis=0)

    def of_boxes(name):
        entropy = ops.sparse_categorical_crossentropy(truth, outputs[name], from_logits=True)
        return ops.sum(ops.where(truth > 0, entropy, 0.0), axis=1)

    return {
        "semantic": hard_pixel_cross_entropy(logits, targets["semantic"], ones, declared["semantic_logits"], 1.0),
        "box": of_boxes("box_logits"),
        "early_box": of_boxes("early_box_logits"),
    }


def loss_weights(config: ToyConfig) -> dict[str, float]:
    return {"semantic": 1.0, "box": 2.0, "early_box": 0.5}


def counts(outputs, targets, config: ToyConfig) -> dict[str, Any]:
    from keras import ops

    sampled = ops.sum(ops.cast(outputs["sampled_category"] > 0, "float32"), axis=1)
    return {"box": sampled, "early_box": sampled}


def postprocess(outputs, size, valid_size, config: ToyConfig, categories) -> Segments:
    """One segment a category; things are their first instance."""
    from keras import ops

    from tfpanoptic.ops.argmax import argmax
    from tfpanoptic.ops.resize import resize_bilinear
    from tfpanoptic.ops.valid import valid_pixels

    logits = resize_bilinear(outputs["semantic_logits"], size, align_corners=False)
    segment_ids = ops.where(valid_pixels(valid_size, size), argmax(logits) + 1, 0)
    row = ops.convert_to_tensor([[encode(c.id, int(c.isthing)) for c in categories]], "int32")
    labels = ops.tile(row, (ops.shape(segment_ids)[0], 1))
    return Segments(segment_ids, labels, ops.ones_like(ops.cast(labels, "float32")))


TOY = Architecture(
    name="toy",
    config=ToyConfig,
    grid=grid,
    channels=channels,
    category_layers=(
        CategoryLayer("semantic_head", "semantic_logits"),
        CategoryLayer("box_head", "box_logits"),
        CategoryLayer("early_head", "box_logits"),
    ),
    build=build,
    targets=targets,
    loss=loss,
    loss_weights=loss_weights,
    postprocess=postprocess,
    counts=counts,
)


def register() -> None:
    """Lists the toy among the architectures of this process."""
    from tfpanoptic.experiment import Experiment
    from tfpanoptic.models import ARCHITECTURES

    if "toy" not in ARCHITECTURES:
        ARCHITECTURES["toy"] = TOY
        Experiment.model_rebuild(force=True)
