"""Panoptic FPN: Mask R-CNN and a semantic branch on one feature pyramid, merged by score.

Kirillov et al. 2019 (Panoptic Feature Pyramid Networks), in the form of Detectron2
(`modeling/meta_arch/panoptic_fpn.py`, `configs/COCO-PanopticSegmentation`). Whatever needs Keras or TensorFlow is
imported where it is used: a configuration is read and checked without them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from tfpanoptic.architecture import Architecture, CategoryLayer, Networks, Oracle, Relaxation, Segments, Tunable
from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import CategoryTable
from tfpanoptic.models import mask_rcnn
from tfpanoptic.panoptic_map import category_of
from tfpanoptic.settings.config import Named, StrictConfig
from tfpanoptic.settings.norm import NormConfig
from tfpanoptic.settings.sizes import Grid


class SemanticConfig(StrictConfig):
    """The semantic branch."""

    channels: int = Field(128, gt=0)
    norm: NormConfig = NormConfig(kind="group", epsilon=1e-5)
    # One channel for all things (COCO), or one for each category (the paper's form for Cityscapes).
    merge_things: bool = True


class LossWeights(StrictConfig):
    """lambda_i and lambda_s of the paper's equation, and the weight of the RPN's losses, which it leaves out.

    Source: Kirillov et al. 2019, section 3.2; values of Detectron2's COCO configurations.
    """

    instance: float = Field(1.0, ge=0)
    semantic: float = Field(0.5, ge=0)
    rpn: float = Field(1.0, ge=0)


class PostprocessConfig(mask_rcnn.DetectionConfig):
    """Detection and merging. Defaults: Detectron2."""

    # Score of an instance, largest share of it that others may cover, and pixels that stuff needs.
    instance_score: float = Field(0.5, ge=0, le=1)
    instance_overlap: float = Field(0.5, ge=0, le=1)
    stuff_area: int = Field(4096, ge=0)


# What tuning tries, own choice. The network makes no masks below the score. Suppression of boxes (`detection_overlap`)
# is within it, and fewer detections, or a higher `detection_score`, only leave out what merging would drop by its
# score.
TUNABLE = {
    "instance_score": Tunable((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), network_drops_below=True),
    "instance_overlap": Tunable((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
    "stuff_area": Tunable((0, 256, 1024, 2048, 4096)),
}


class PanopticFPNConfig(StrictConfig):
    """All settings of the model; defaults are Detectron2's."""

    name: Literal["panoptic_fpn"] = "panoptic_fpn"
    backbone: Annotated[Any, Named(BACKBONES)]
    # "imagenet_mean": minus the mean of ImageNet. "symmetric": x / 127.5 - 1. "per_image": by the image's own pixels.
    normalization: Literal["imagenet_mean", "symmetric", "per_image"] = "imagenet_mean"
    # Of the backbone. A frozen one is for pretrained weights.
    norm: NormConfig = NormConfig(kind="frozen", epsilon=1e-5)
    fpn_channels: int = Field(256, gt=0)
    instance: mask_rcnn.InstanceConfig = mask_rcnn.InstanceConfig()
    semantic: SemanticConfig = SemanticConfig()
    loss_weights: LossWeights = LossWeights()
    postprocess: PostprocessConfig = PostprocessConfig()


def grid(config: PanopticFPNConfig) -> Grid:
    """Sides are multiples of the coarsest map's stride; half-pixel centres."""
    return mask_rcnn.GRID


def channels(config: PanopticFPNConfig, categories: CategoryTable) -> dict[str, tuple[int, ...]]:
    """Category id of each channel of the classification heads, 0 for background and for things of any kind."""
    semantic = (0, *categories.stuff_ids) if config.semantic.merge_things else categories.ids
    return {"semantic_logits": semantic, **mask_rcnn.channels(categories)}


def build(config: PanopticFPNConfig, categories: CategoryTable) -> Networks:
    """The networks.

    Inputs `image` float32 [B, H, W, 3], RGB 0..255, and `valid_size` int32 [B, 2]; for training also `seed`, `boxes`
    and `box_category`. Outputs of both: `semantic_logits` float32 [B, H / 4, W / 4, K]; of the train network also what
    `mask_rcnn.InstanceBranch.train_outputs` returns, of the infer network what its `detections` does.

    Raises:
        SettingError: a backbone's option, or data without things.
    """
    import keras

    from tfpanoptic.layers.norm import Norm
    from tfpanoptic.layers.semantic_fpn import SemanticFPN

    instances = mask_rcnn.InstanceBranch(config.instance, categories, config.postprocess, over_classes=False)
    inputs, truth = mask_rcnn.inputs(config.instance)
    levels = mask_rcnn.pyramid(inputs, config)
    semantic = SemanticFPN(
        config.semantic.channels,
        len(channels(config, categories)["semantic_logits"]),
        Norm(**config.semantic.norm.model_dump()),
        name="semantic_fpn",
    )
    outputs = {"semantic_logits": semantic(levels[:4])}
    train = {**outputs, **instances.train_outputs(levels, {**inputs, **truth})}
    infer = {**outputs, **instances.detections(levels, inputs["valid_size"], config.postprocess.instance_score)}
    return Networks(
        keras.Model({**inputs, **truth}, train, name="panoptic_fpn"), keras.Model(inputs, infer, name="panoptic_fpn")
    )


def targets(example: dict[str, Any], config: PanopticFPNConfig, categories: CategoryTable) -> dict[str, Any]:
    """`semantic` int32 [H, W], channel of the semantic head, -1 where void, and the targets of `mask_rcnn`."""
    from tfpanoptic.targets.category_tables import by_category

    return {
        "semantic": by_category(example["panoptic"], _channel_of_category(config, categories)),
        **mask_rcnn.targets(example, config.instance, categories),
    }


def _channel_of_category(config: PanopticFPNConfig, categories: CategoryTable) -> np.ndarray:
    """Channel of the semantic head for each category id, int32 [C + 2]; -1 for void, and last for every larger id."""
    declared = channels(config, categories)["semantic_logits"]
    table = np.full(len(categories) + 2, -1, np.int32)
    for category in categories:
        merged = category.isthing and config.semantic.merge_things
        table[category.id] = declared.index(0 if merged else category.id)
    return table


def loss(outputs, targets, config: PanopticFPNConfig, categories: CategoryTable) -> dict[str, Any]:
    """Unweighted terms, float32 [B]: `semantic` and those of `mask_rcnn`, all to be divided by `counts`."""
    from keras import ops

    from tfpanoptic.losses.classification import pixel_cross_entropy
    from tfpanoptic.ops.resize import resize_bilinear

    size = ops.shape(targets["semantic"])[1:3]
    logits = resize_bilinear(ops.cast(outputs["semantic_logits"], "float32"), size, align_corners=False)
    semantic = pixel_cross_entropy(logits, targets["semantic"])
    return {"semantic": semantic, **mask_rcnn.loss(outputs, targets, config.instance, categories)}


def target_counts(targets, config: PanopticFPNConfig) -> dict[str, Any]:
    """Labelled pixels; the RPN's terms are divided by the number of images."""
    from tfpanoptic.losses.detection import number_of

    return {"semantic": number_of(targets["semantic"] >= 0)}


def counts(outputs, targets, config: PanopticFPNConfig) -> dict[str, Any]:
    """Sampled regions, foreground regions."""
    return mask_rcnn.counts(outputs)


def loss_weights(config: PanopticFPNConfig) -> dict[str, float]:
    """Weight of each term."""
    weights = config.loss_weights
    return {"semantic": weights.semantic, **mask_rcnn.loss_weights(weights.rpn, weights.instance)}


def postprocess(outputs, size, valid_size, config: PanopticFPNConfig, categories: CategoryTable) -> Segments:
    """Segments int32 [B, *size] by merging; see `postprocess/merge_instances.py`."""
    from tfpanoptic.postprocess.merge_instances import panoptic_fpn_postprocess

    settings = config.postprocess
    return panoptic_fpn_postprocess(
        outputs,
        size,
        valid_size,
        channels=channels(config, categories)["semantic_logits"],
        stuff_ids=categories.stuff_ids,
        num_categories=len(categories),
        instance_score=settings.instance_score,
        overlap=settings.instance_overlap,
        stuff_area=settings.stuff_area,
    )


def perfect_outputs(panoptic, config: PanopticFPNConfig, categories: CategoryTable) -> dict[str, Any]:
    """Outputs of perfect heads for one panoptic map int32 [H, W]; see `oracles/instances.py`."""
    from tfpanoptic.oracles.instances import perfect_detections, perfect_semantic_logits

    panoptic, count = np.asarray(panoptic), config.postprocess.max_detections
    channel = _channel_of_category(config, categories)[category_of(panoptic)]
    return {
        "semantic_logits": perfect_semantic_logits(channel, len(channels(config, categories)["semantic_logits"])),
        **perfect_detections(panoptic, categories.thing_ids, count, config.instance.mask_head.size),
    }


def relaxations(config: PanopticFPNConfig, most_instances: int) -> tuple[Relaxation, ...]:
    """The settings that can cost panoptic quality; see `oracles/instances.py`."""
    from tfpanoptic.oracles.instances import relaxations

    return relaxations(config, most_instances, "instance_overlap")


ARCHITECTURE = Architecture(
    name="panoptic_fpn",
    config=PanopticFPNConfig,
    grid=grid,
    channels=channels,
    category_layers=(CategoryLayer("semantic_fpn/logits", "semantic_logits"), *mask_rcnn.CATEGORY_LAYERS),
    build=build,
    targets=targets,
    loss=loss,
    loss_weights=loss_weights,
    postprocess=postprocess,
    target_counts=target_counts,
    counts=counts,
    oracle=Oracle(perfect_outputs, relaxations),
    tunable=TUNABLE,
)
