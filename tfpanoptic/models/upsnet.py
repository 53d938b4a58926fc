"""UPSNet: Mask R-CNN, a deformable semantic head on the same pyramid, and a panoptic head without parameters.

Xiong et al. 2019. The instance branch is that of `models/mask_rcnn.py`, with UPSNet's RoIAlign and parabolas in the
box losses. It differs from UPSNet's where Detectron2 does: boxes have exclusive ends, proposals of all levels compete,
anchors beyond the image take part, the box loss of the RPN is divided by the size of the sample even where fewer
anchors were found, the background comes last and has no mask, heads are initialised and pixels centred by Detectron2's
numbers. The panoptic head follows UPSNet's own arithmetic. Whatever needs Keras or TensorFlow is imported where it is
used: a configuration is read and checked without them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from tfpanoptic.architecture import Architecture, CategoryLayer, Networks, Oracle, Relaxation, Segments, Tunable
from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import SettingError
from tfpanoptic.models import mask_rcnn
from tfpanoptic.panoptic_map import category_of
from tfpanoptic.settings.config import Named, StrictConfig
from tfpanoptic.settings.norm import NormConfig
from tfpanoptic.settings.sizes import Grid

# Of the semantic logits.
STRIDE = 4
# Cells along each side of a box in which the RoI loss looks at the semantic logits.
ROI_SIZE = 28
# After those of `mask_rcnn`.
KEEP_DRAW = 4


class RPNConfig(mask_rcnn.RPNConfig):
    """The region proposal network; what UPSNet has otherwise than Detectron2."""

    train_proposals: int = Field(2000, ge=1)
    smooth_l1_beta: float = Field(1 / 9, ge=0)


class BoxHeadConfig(mask_rcnn.BoxHeadConfig):
    """The box head; what UPSNet has otherwise than Detectron2."""

    smooth_l1_beta: float = Field(1.0, ge=0)


class PoolingConfig(mask_rcnn.PoolingConfig):
    """RoIAlign; UPSNet has it in Mask R-CNN's first form."""

    sampling_ratio: int = Field(2, ge=0)
    aligned: bool = False


class InstanceConfig(mask_rcnn.InstanceConfig):
    """All settings of the instance branch that stay when a model is trained."""

    rpn: RPNConfig = RPNConfig()
    box_head: BoxHeadConfig = BoxHeadConfig()
    pooling: PoolingConfig = PoolingConfig()


class SemanticConfig(StrictConfig):
    """The semantic head; it has a channel for each category."""

    # Of its deformable convolutions; (128, 128) on Cityscapes.
    filters: tuple[int, ...] = Field((256, 128, 128), min_length=1)


class PanopticConfig(StrictConfig):
    """Training of the panoptic head."""

    # Share of the instances of an image that have a channel; the others teach the unknown channel.
    keep_fraction: float = Field(0.7, gt=0, le=1)


class LossWeights(StrictConfig):
    """Weights of the loss terms. Defaults: UPSNet on COCO; on Cityscapes 1 1 1, without `roi_semantic`, 0.5."""

    instance: float = Field(1.0, ge=0)
    rpn: float = Field(1.0, ge=0)
    semantic: float = Field(0.2, ge=0)
    # 0 leaves the term out.
    roi_semantic: float = Field(0.04, ge=0)
    panoptic: float = Field(0.1, ge=0)


class PostprocessConfig(mask_rcnn.DetectionConfig):
    """Detection, removal of masks and clean-up. Defaults: UPSNet on COCO."""

    detection_score: float = Field(0.6, ge=0, lt=1)
    # Largest share of a mask that masks of its class, better ones, may cover.
    removal_overlap: float = Field(0.3, ge=0, le=1)
    # Pixels that stuff needs.
    stuff_area: int = Field(4096, ge=0)


# What tuning tries, own choice. The network takes detections one by one from the highest score down, so those above a
# score are the same for every lower one. Suppression of boxes (`detection_overlap`) is within it.
TUNABLE = {
    "detection_score": Tunable((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), network_drops_below=True),
    "removal_overlap": Tunable((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
    "stuff_area": Tunable((0, 256, 1024, 2048, 4096)),
}


class UPSNetConfig(StrictConfig):
    """All settings of the model; defaults are UPSNet's on COCO."""

    name: Literal["upsnet"] = "upsnet"
    backbone: Annotated[Any, Named(BACKBONES)]
    # "imagenet_mean": minus the mean of ImageNet. "symmetric": x / 127.5 - 1. "per_image": by the image's own pixels.
    normalization: Literal["imagenet_mean", "symmetric", "per_image"] = "imagenet_mean"
    # Of the backbone. A frozen one is for pretrained weights.
    norm: NormConfig = NormConfig(kind="frozen", epsilon=1e-5)
    fpn_channels: int = Field(256, gt=0)
    # Whether the pyramid sees the mean of the coarsest map; not on Cityscapes.
    global_context: bool = True
    instance: InstanceConfig = InstanceConfig()
    semantic: SemanticConfig = SemanticConfig()
    panoptic: PanopticConfig = PanopticConfig()
    loss_weights: LossWeights = LossWeights()
    postprocess: PostprocessConfig = PostprocessConfig()


def grid(config: UPSNetConfig) -> Grid:
    """Sides are multiples of the coarsest map's stride; half-pixel centres."""
    return mask_rcnn.GRID


def channels(config: UPSNetConfig, categories: CategoryTable) -> dict[str, tuple[int, ...]]:
    """Category id of each channel of the classification heads, stuff first; 0 for background.

    Raises:
        SettingError: no thing, or no stuff.
    """
    if not categories.stuff_ids:
        raise SettingError(
            "model.name",
            "the data has no category of stuff, which upsnet needs and panoptic_fpn does not; data.remap.void=NAME "
            "makes one of what is void",
        )
    return {
        "semantic_logits": (*categories.stuff_ids, *categories.thing_ids),
        **mask_rcnn.channels(categories),
    }


def build(config: UPSNetConfig, categories: CategoryTable) -> Networks:
    """The networks.

    Inputs `image` float32 [B, H, W, 3], RGB 0..255, and `valid_size` int32 [B, 2]; for training also `seed`, `boxes`
    and `box_category`. Outputs of both: `semantic_logits` float32 [B, H / 4, W / 4, K]. The infer network adds what
    `mask_rcnn.InstanceBranch.detections` returns; the train network what its `train_outputs` does, the masks of the
    true boxes, `true_mask_logits` float32 [B, N, m, m], and `kept` int32 [B, N], 1 for instances with a channel.

    Raises:
        SettingError: a backbone's option, or data without things or without stuff.
    """
    import keras

    from tfpanoptic.layers.keep_instances import KeepInstances
    from tfpanoptic.layers.upsnet_semantic import SharedDeformableHead

    logits = len(channels(config, categories)["semantic_logits"])
    instances = mask_rcnn.InstanceBranch(config.instance, categories, config.postprocess, over_classes=True)
    inputs, truth = mask_rcnn.inputs(config.instance)
    levels = mask_rcnn.pyramid(inputs, config, config.global_context)
    semantic = SharedDeformableHead(logits, config.semantic.filters, name="semantic_head")
    outputs = {"semantic_logits": semantic(levels[:4])}
    train = {
        **outputs,
        **instances.train_outputs(levels, {**inputs, **truth}),
        "true_mask_logits": instances.masks(levels, truth["boxes"], truth["box_category"]),
        "kept": KeepInstances(config.panoptic.keep_fraction, KEEP_DRAW, name="keep")(
            truth["box_category"], truth["seed"]
        ),
    }
    infer = {**outputs, **instances.detections(levels, inputs["valid_size"], mask_score=0.0)}
    return Networks(keras.Model({**inputs, **truth}, train, name="upsnet"), keras.Model(inputs, infer, name="upsnet"))


def targets(example: dict[str, Any], config: UPSNetConfig, categories: CategoryTable) -> dict[str, Any]:
    """`semantic` int32 [H, W], category ids, 0 where void, `image_size` int32 [2], and the targets of `mask_rcnn`."""
    return {
        "semantic": category_of(example["panoptic"]),
        "image_size": example["valid_size"],
        **mask_rcnn.targets(example, config.instance, categories),
    }


def loss(outputs, targets, config: UPSNetConfig, categories: CategoryTable) -> dict[str, Any]:
    """Unweighted terms, float32 [B]: `semantic`, `roi_semantic`, `panoptic` and those of `mask_rcnn`."""
    from keras import ops

    from tfpanoptic.losses.classification import pixel_cross_entropy
    from tfpanoptic.losses.panoptic_logits import panoptic_logits_loss
    from tfpanoptic.losses.roi_semantic import roi_semantic_loss
    from tfpanoptic.ops.channels import channel_of
    from tfpanoptic.ops.resize import resize_bilinear
    from tfpanoptic.ops.roi_align import roi_align

    declared = channels(config, categories)["semantic_logits"]
    semantic, boxes, exists = targets["semantic"], targets["boxes"], targets["box_category"] > 0
    logits = ops.cast(outputs["semantic_logits"], "float32")
    enlarged = resize_bilinear(logits, ops.shape(semantic)[1:3], align_corners=False)
    terms = {
        "semantic": pixel_cross_entropy(enlarged, channel_of(semantic, declared)),
        "panoptic": panoptic_logits_loss(
            logits,
            boxes,
            targets["box_category"],
            outputs["kept"] > 0,
            outputs["true_mask_logits"],
            semantic,
            targets["instance_map"],
            declared,
            categories.thing_ids,
            STRIDE,
        ),
        **mask_rcnn.loss(outputs, targets, config.instance, categories),
    }
    if config.loss_weights.roi_semantic:
        # Pooling the logits equals scoring pooled features: the shares of the samples add up to one.
        scores = roi_align([logits], (STRIDE,), boxes, ROI_SIZE, sampling_ratio=2, aligned=False)
        terms["roi_semantic"] = roi_semantic_loss(scores, semantic, boxes, exists, declared)
    return terms


def target_counts(targets, config: UPSNetConfig) -> dict[str, Any]:
    """Labelled pixels, cells of the image and cells of the true boxes; the RPN's terms are divided by the images."""
    from tfpanoptic.losses.detection import number_of
    from tfpanoptic.losses.panoptic_logits import panoptic_logits_count
    from tfpanoptic.losses.roi_semantic import roi_semantic_count

    found = {
        "semantic": number_of(targets["semantic"] > 0),
        "panoptic": panoptic_logits_count(targets["image_size"], STRIDE),
    }
    if config.loss_weights.roi_semantic:
        found["roi_semantic"] = roi_semantic_count(targets["box_category"] > 0, ROI_SIZE)
    return found


def counts(outputs, targets, config: UPSNetConfig) -> dict[str, Any]:
    """Sampled regions, foreground regions."""
    return mask_rcnn.counts(outputs)


def loss_weights(config: UPSNetConfig) -> dict[str, float]:
    """Weight of each term."""
    weights = config.loss_weights
    roi_semantic = {"roi_semantic": weights.roi_semantic} if weights.roi_semantic else {}
    return {
        "semantic": weights.semantic,
        **roi_semantic,
        "panoptic": weights.panoptic,
        **mask_rcnn.loss_weights(weights.rpn, weights.instance),
    }


def postprocess(outputs, size, valid_size, config: UPSNetConfig, categories: CategoryTable) -> Segments:
    """Segments int32 [B, *size] by the panoptic head; see `postprocess/panoptic_logits.py`.

    Detections up to `detection_score` go here, too: outputs may be those of a network with a lower one.
    """
    from tfpanoptic.ops.detections import drop_detections
    from tfpanoptic.postprocess.panoptic_logits import upsnet_postprocess

    return upsnet_postprocess(
        drop_detections(outputs, config.postprocess.detection_score),
        size,
        valid_size,
        channels=channels(config, categories)["semantic_logits"],
        thing_ids=categories.thing_ids,
        num_categories=len(categories),
        removal_overlap=config.postprocess.removal_overlap,
        stuff_area=config.postprocess.stuff_area,
    )


def perfect_outputs(panoptic, config: UPSNetConfig, categories: CategoryTable) -> dict[str, Any]:
    """Outputs of perfect heads for one panoptic map int32 [H, W]; see `oracles/instances.py`."""
    from tfpanoptic.ops.channels import channel_table
    from tfpanoptic.oracles.instances import perfect_detections, perfect_semantic_logits

    panoptic, declared = np.asarray(panoptic), channels(config, categories)["semantic_logits"]
    count, size = config.postprocess.max_detections, config.instance.mask_head.size
    return {
        "semantic_logits": perfect_semantic_logits(channel_table(declared)[category_of(panoptic)], len(declared)),
        **perfect_detections(panoptic, categories.thing_ids, count, size),
    }


def relaxations(config: UPSNetConfig, most_instances: int) -> tuple[Relaxation, ...]:
    """The settings that can cost panoptic quality; see `oracles/instances.py`."""
    from tfpanoptic.oracles.instances import relaxations

    return relaxations(config, most_instances, "removal_overlap")


ARCHITECTURE = Architecture(
    name="upsnet",
    config=UPSNetConfig,
    grid=grid,
    channels=channels,
    category_layers=(CategoryLayer("semantic_head/logits", "semantic_logits"), *mask_rcnn.CATEGORY_LAYERS),
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
