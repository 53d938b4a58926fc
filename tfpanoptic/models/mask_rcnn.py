"""Mask R-CNN on a feature pyramid: the instance branch of Panoptic FPN and of UPSNet.

He et al. 2017 and Lin et al. 2017, in the form of Detectron2. It is no panoptic architecture: the two model files take
their settings, layers, targets and losses of instances from here.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from tfpanoptic.architecture import CategoryLayer
from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import SettingError
from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.sizes import Grid

# Maps of the backbone that the pyramid is made of, and their strides; its last level is one coarser.
ENDPOINTS = {"res2": 4, "res3": 8, "res4": 16, "res5": 32}
STRIDES = (*ENDPOINTS.values(), 64)
# Sizes at which the last map is whole.
GRID = Grid(32)
# Draws of the samples; each takes two.
ANCHOR_DRAW, REGION_DRAW = 0, 2
# Deltas and masks are those of things, in the order of the logits.
CATEGORY_LAYERS = (
    CategoryLayer("box_head/class_logits", "box_logits"),
    CategoryLayer("box_head/deltas", "box_logits", outputs_each=4, void=False),
    CategoryLayer("mask_head/logits", "box_logits", void=False),
)


class RPNConfig(StrictConfig):
    """The region proposal network. Defaults: Detectron2's Panoptic FPN."""

    channels: int = Field(256, gt=0)
    # Side of the square anchor of each level, P2 to P6, in pixels.
    anchor_sizes: tuple[float, float, float, float, float] = (32.0, 64.0, 128.0, 256.0, 512.0)
    # Height over width of the anchors of a cell.
    anchor_ratios: tuple[float, ...] = Field((0.5, 1.0, 2.0), min_length=1)
    # Intersection over union from which an anchor is positive, and below which it is negative.
    positive: float = Field(0.7, gt=0, le=1)
    negative: float = Field(0.3, ge=0, le=1)
    # Anchors of an image that it learns from, and the largest share of positive ones.
    sample: int = Field(256, ge=1)
    positive_fraction: float = Field(0.5, gt=0, le=1)
    # Proposals of a level before the suppression, and of an image after it, in training and in inference.
    train_per_level: int = Field(2000, ge=1)
    train_proposals: int = Field(1000, ge=1)
    per_level: int = Field(1000, ge=1)
    proposals: int = Field(1000, ge=1)
    # Intersection over union above which the worse of two proposals of a level goes.
    overlap: float = Field(0.7, ge=0, le=1)
    # Below this error the loss is a parabola; 0 is the absolute error.
    smooth_l1_beta: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> RPNConfig:
        if self.negative > self.positive:
            raise ValueError(f"negative {self.negative} is above positive {self.positive}")
        if min(*self.anchor_sizes, *self.anchor_ratios) <= 0:
            raise ValueError(f"expected positive sizes and ratios, found {self.anchor_sizes} and {self.anchor_ratios}")
        return self


class BoxHeadConfig(StrictConfig):
    """The box head. Defaults: Detectron2's Panoptic FPN."""

    channels: int = Field(1024, gt=0)
    # Regions of an image that it learns from, the largest share of foreground, and the overlap that makes foreground.
    sample: int = Field(512, ge=1)
    foreground_fraction: float = Field(0.25, gt=0, le=1)
    foreground: float = Field(0.5, gt=0, le=1)
    smooth_l1_beta: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _some_foreground(self) -> BoxHeadConfig:
        if self.mask_regions < 1:
            raise ValueError(
                f"foreground_fraction {self.foreground_fraction} of sample {self.sample} leaves no region for the masks"
            )
        return self

    @property
    def mask_regions(self) -> int:
        """Regions of an image that the mask head learns from, at most."""
        return int(self.sample * self.foreground_fraction)


class MaskHeadConfig(StrictConfig):
    """The mask head. Defaults: Detectron2's Panoptic FPN."""

    channels: int = Field(256, gt=0)
    convs: int = Field(4, ge=0)
    # Cells of a mask along each side; twice those of the features that it is made from.
    size: int = Field(28, ge=2, multiple_of=2)


class PoolingConfig(StrictConfig):
    """RoIAlign. Defaults: Detectron2."""

    # Samples of a cell along each axis; 0 takes as many as it covers cells of features.
    sampling_ratio: int = Field(0, ge=0)
    aligned: bool = True


class InstanceConfig(StrictConfig):
    """All settings of the instance branch that stay when a model is trained."""

    rpn: RPNConfig = RPNConfig()
    box_head: BoxHeadConfig = BoxHeadConfig()
    mask_head: MaskHeadConfig = MaskHeadConfig()
    pooling: PoolingConfig = PoolingConfig()
    # Instances of an image in training; of more, a random choice.
    max_instances: int = Field(100, ge=1, le=9_999)


class DetectionConfig(StrictConfig):
    """Which instances inference keeps. Defaults: Detectron2."""

    # Probability that a class needs, overlap at which the worse of two boxes goes, and how many stay.
    detection_score: float = Field(0.05, ge=0, lt=1)
    detection_overlap: float = Field(0.5, ge=0, le=1)
    max_detections: int = Field(100, ge=1, le=9_999)


def channels(categories: CategoryTable) -> dict[str, tuple[int, ...]]:
    """Category id of each channel of the box head: things, and the background last, as in Detectron2.

    Raises:
        SettingError: no thing.
    """
    if not categories.thing_ids:
        raise SettingError("model.name", "the data has no category of things, which a top-down model looks for")
    return {"box_logits": (*categories.thing_ids, 0)}


def inputs(config: InstanceConfig) -> tuple[dict, dict]:
    """The inputs of both networks, and what the train network takes beside them."""
    import keras

    image = {
        "image": keras.Input((None, None, 3), dtype="float32", name="image"),
        "valid_size": keras.Input((2,), dtype="int32", name="valid_size"),
    }
    truth = {
        "seed": keras.Input((2,), dtype="int32", name="seed"),
        "boxes": keras.Input((config.max_instances, 4), dtype="float32", name="boxes"),
        "box_category": keras.Input((config.max_instances,), dtype="int32", name="box_category"),
    }
    return image, truth


def pyramid(inputs: dict, config: Any, global_context: bool = False) -> list:
    """The levels P2 to P6 of the images.

    Args:
        inputs: `image` and `valid_size`.
        config: of the model; its `normalization`, `backbone`, of output stride 32, `norm` and `fpn_channels`.

    Raises:
        SettingError: a backbone of another output stride.
    """
    from tfpanoptic.layers.fpn import FeaturePyramid
    from tfpanoptic.layers.norm import Norm
    from tfpanoptic.layers.normalize_image import NormalizeImage

    backbone = config.backbone
    record = BACKBONES[backbone.name]
    strides = record.strides(backbone)
    if {name: strides[name] for name in ENDPOINTS} != ENDPOINTS:
        raise SettingError("model.backbone.output_stride", f"a feature pyramid needs 32, found {strides['res5']}")
    normalized = NormalizeImage(config.normalization, name="normalize")(inputs["image"], inputs["valid_size"])
    endpoints = record.build(normalized, backbone, Norm(**config.norm.model_dump()))
    return FeaturePyramid(config.fpn_channels, global_context, name="fpn")([endpoints[name] for name in ENDPOINTS])


class InstanceBranch:
    """The layers of the instance branch, made once for the train and the infer network.

    Args:
        config: the settings.
        categories: must have a thing.
        detection: which instances inference keeps.
        over_classes: whether boxes of different classes suppress each other, too.

    Raises:
        SettingError: no thing.
    """

    def __init__(
        self, config: InstanceConfig, categories: CategoryTable, detection: DetectionConfig, over_classes: bool
    ):
        from tfpanoptic.layers.box_head import BoxHead, DetectInstances, SampleRegions
        from tfpanoptic.layers.mask_head import MaskHead
        from tfpanoptic.layers.rpn import Proposals, RPNHead, SampleAnchors

        box_channels, things, rpn = channels(categories)["box_logits"], categories.thing_ids, config.rpn
        anchors = (STRIDES, rpn.anchor_sizes, rpn.anchor_ratios)
        levels = (STRIDES[:-1],)  # the coarsest level is the RPN's alone
        self.mask_regions = config.box_head.mask_regions
        self.thing_ids = things
        self.rpn = RPNHead(rpn.channels, len(rpn.anchor_ratios), name="rpn")
        self.train_proposals = Proposals(
            *anchors, rpn.train_per_level, rpn.train_proposals, rpn.overlap, name="train_proposals"
        )
        self.proposals = Proposals(*anchors, rpn.per_level, rpn.proposals, rpn.overlap, name="proposals")
        self.sample_anchors = SampleAnchors(
            *anchors,
            rpn.sample,
            rpn.positive_fraction,
            rpn.positive,
            rpn.negative,
            draw=ANCHOR_DRAW,
            name="sample_anchors",
        )
        box = config.box_head
        self.sample_regions = SampleRegions(
            box.sample, box.foreground_fraction, box.foreground, draw=REGION_DRAW, name="sample_regions"
        )
        pooling = config.pooling.model_dump()
        self.box_head = BoxHead(*levels, box.channels, len(box_channels), len(things), **pooling, name="box_head")
        self.mask_head = MaskHead(
            *levels,
            config.mask_head.channels,
            config.mask_head.convs,
            len(things),
            size=config.mask_head.size // 2,
            **pooling,
            name="mask_head",
        )
        self.detect = DetectInstances(
            box_channels,
            things,
            detection.max_detections,
            detection.detection_score,
            detection.detection_overlap,
            over_classes,
            name="detect",
        )

    def train_outputs(self, levels: list, inputs: dict) -> dict[str, Any]:
        """What the losses need of a batch; see the layers for shapes.

        Args:
            levels: P2 to P6.
            inputs: `boxes`, `box_category`, `valid_size`, `seed`.
        """
        truth = (inputs["boxes"], inputs["box_category"], inputs["seed"])
        logits, deltas = self.rpn(levels)
        proposals, scores = self.train_proposals(logits, deltas, inputs["valid_size"])
        sample = self.sample_regions(proposals, scores, *truth)
        box_logits, box_deltas = self.box_head(levels[:-1], sample["regions"])
        # Foreground comes first, so all of it is among these.
        foreground, category = (sample[name][:, : self.mask_regions] for name in ("regions", "region_category"))
        return {
            **self.sample_anchors(logits, deltas, *truth),
            **sample,
            "box_logits": box_logits,
            "box_deltas": box_deltas,
            "mask_logits": self.masks(levels, foreground, category),
        }

    def masks(self, levels: list, boxes, category):
        """Mask logits float32 [B, N, m, m] of boxes [B, N, 4] for their category int32 [B, N]; any for no thing."""
        from tfpanoptic.ops.channels import class_index

        return self.mask_head(levels[:-1], boxes, class_index(category, self.thing_ids))

    def detections(self, levels: list, valid_size, mask_score: float) -> dict[str, Any]:
        """The instances of each image.

        Args:
            levels: P2 to P6.
            valid_size: int32 [B, 2].
            mask_score: masks of detections below it are not computed, and 0.

        Returns:
            `boxes` float32 [B, N, 4], `scores` float32 [B, N], falling, `box_category` int32 [B, N], all 0 in empty
            places, and `mask_logits` float32 [B, N, m, m] of that category.
        """
        from keras import ops

        logits, deltas = self.rpn(levels)
        proposals, proposal_scores = self.proposals(logits, deltas, valid_size)
        box_logits, box_deltas = self.box_head(levels[:-1], proposals)
        boxes, scores, index = self.detect(proposals, proposal_scores, box_logits, box_deltas, valid_size)
        exists = scores > 0
        wanted = ops.logical_and(exists, scores >= mask_score)
        wanted = ops.sum(ops.cast(wanted, "int32"), axis=1)
        category = ops.take(ops.convert_to_tensor(self.thing_ids, "int32"), index, axis=0)
        return {
            "boxes": boxes,
            "scores": scores,
            "box_category": ops.where(exists, category, 0),
            "mask_logits": self.mask_head(levels[:-1], boxes, index, wanted),
        }


def targets(example: dict[str, Any], config: InstanceConfig, categories: CategoryTable) -> dict[str, Any]:
    """`boxes`, `box_category` and `instance_map` of one image; see `targets/instances.py`."""
    from tfpanoptic.targets.instances import instance_targets

    return instance_targets(example["panoptic"], categories.thing_ids, example["seed"], config.max_instances)


def loss(outputs: dict, targets: dict, config: InstanceConfig, categories: CategoryTable) -> dict[str, Any]:
    """`anchor_class`, `anchor_box`, `region_class`, `region_box` and `mask`, float32 [B]; see `losses/detection.py`."""
    from keras import ops

    from tfpanoptic.losses.detection import anchor_terms, mask_term, region_terms
    from tfpanoptic.ops.mask_targets import mask_targets

    box_channels = channels(categories)["box_logits"]
    regions = ops.shape(outputs["mask_logits"])[1]
    foreground, category, place = (
        outputs[name][:, :regions] for name in ("regions", "region_category", "region_place")
    )
    # The map counts instances from 1.
    number = ops.where(category > 0, place + 1, -1)
    masks = mask_targets(targets["instance_map"], foreground, number, config.mask_head.size)
    return {
        **anchor_terms(outputs, config.rpn.sample, config.rpn.smooth_l1_beta),
        **region_terms(outputs, box_channels, categories.thing_ids, config.box_head.smooth_l1_beta),
        "mask": mask_term(outputs["mask_logits"], masks, category),
    }


def counts(outputs: dict) -> dict[str, Any]:
    """What the sums of regions and masks are divided by, float32 [B]: regions, and foreground regions."""
    from tfpanoptic.losses.detection import number_of

    regions = number_of(outputs["region_category"] >= 0)
    return {"region_class": regions, "region_box": regions, "mask": number_of(outputs["region_category"] > 0)}


def loss_weights(rpn: float, instance: float) -> dict[str, float]:
    """Weight of each term of `loss`: that of the RPN's, and that of the others."""
    return {
        **dict.fromkeys(("anchor_class", "anchor_box"), rpn),
        **dict.fromkeys(("region_class", "region_box", "mask"), instance),
    }
