"""Panoptic-DeepLab: dual ASPP and decoders, class-agnostic centres and offsets.

Cheng et al. 2020, in the form of DeepLab2 (`model/decoder/panoptic_deeplab.py` and its configurations).
The configuration stops at this file; layers, losses, targets and post-processing take plain arguments.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np
from pydantic import Field

from tfpanoptic.architecture import Architecture, Networks
from tfpanoptic.backbones import BACKBONES, BackboneConfig
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.layers.aspp import ASPP
from tfpanoptic.layers.conv import ConvNorm
from tfpanoptic.layers.dense_head import DenseHead
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.normalize_image import NormalizeImage
from tfpanoptic.layers.skip_decoder import SkipDecoder
from tfpanoptic.losses.centers import panoptic_deeplab_loss
from tfpanoptic.oracles.center_settings import head_stride, relaxations
from tfpanoptic.oracles.centers import panoptic_deeplab_perfect_outputs
from tfpanoptic.panoptic_map import MAX_INSTANCE, category_of, encode, instance_of
from tfpanoptic.postprocess.centers import panoptic_deeplab_postprocess
from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.norm import NormConfig


class SkipConfig(StrictConfig):
    """A backbone endpoint that joins the decoder, after a 1x1 convolution to `channels`."""

    endpoint: str
    channels: int = Field(gt=0)


class BranchConfig(StrictConfig):
    """One of the two branches: ASPP, decoder and the width of its heads. Skips from coarse to fine."""

    aspp_channels: int = Field(256, gt=0)
    channels: int = Field(256, gt=0)
    skips: tuple[SkipConfig, ...]
    head_channels: int = Field(gt=0)


class TargetsConfig(StrictConfig):
    """Training targets; `sigma` and areas in pixels at input size."""

    sigma: float = Field(8.0, gt=0)
    small_instance_area: int = Field(4096, ge=0)
    small_instance_weight: float = Field(3.0, gt=0)
    crowd_in_semantic: bool = True


class LossWeights(StrictConfig):
    """Weights of the loss terms. Source: DeepLab2's configurations and the paper, section 3.3."""

    semantic: float = Field(1.0, ge=0)
    center: float = Field(200.0, ge=0)
    offset: float = Field(0.01, ge=0)


class PostprocessConfig(StrictConfig):
    """Grouping and merging, at network size. Defaults: DeepLab2's Cityscapes configuration."""

    center_threshold: float = Field(0.1, ge=0)
    nms_kernel: int = Field(13, ge=1)
    max_centers: int = Field(400, ge=1, le=9_999)
    stuff_area: int = Field(2048, ge=0)


class PanopticDeepLabConfig(StrictConfig):
    """All settings of the model; defaults are DeepLab2's where it has one."""

    backbone: BackboneConfig
    # "symmetric": x / 127.5 - 1. "per_image": zero mean and unit deviation of the image's valid pixels.
    normalization: Literal["symmetric", "per_image"] = "symmetric"
    norm: NormConfig = NormConfig()
    align_corners: bool = True
    # () leaves one 1x1 projection instead of the pyramid.
    aspp_rates: tuple[int, ...] = (3, 6, 9)
    # Window of the image pooling, in cells of the backbone's output; null pools over everything.
    aspp_pool_window: tuple[int, int] | None = None
    aspp_dropout: float = Field(0.1, ge=0, lt=1)
    # Decoder and head convolutions: depthwise separable or plain, and their kernel.
    separable: bool = True
    kernel_size: int = Field(5, ge=1)
    semantic: BranchConfig = BranchConfig(
        channels=256,
        head_channels=256,
        skips=(SkipConfig(endpoint="res3", channels=64), SkipConfig(endpoint="res2", channels=32)),
    )
    instance: BranchConfig = BranchConfig(
        channels=128,
        head_channels=32,
        skips=(SkipConfig(endpoint="res3", channels=32), SkipConfig(endpoint="res2", channels=16)),
    )
    # A channel for void in front of the semantic head, as DeepLab2 has on COCO; never a target.
    void_channel: bool = False
    # Share of the hardest pixels that the semantic loss averages.
    semantic_top_k: float = Field(0.2, gt=0, le=1)
    loss_weights: LossWeights = LossWeights()
    targets: TargetsConfig = TargetsConfig()
    postprocess: PostprocessConfig = PostprocessConfig()


def channels(config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, tuple[int, ...]]:
    """Category id of each channel of the classification heads, 0 for void."""
    return {"semantic_logits": ((0,) if config.void_channel else ()) + categories.ids}


def build(config: PanopticDeepLabConfig, categories: CategoryTable) -> Networks:
    """The network; training and inference use the same one.

    Inputs `image` float32 [B, H, W, 3], RGB 0..255, and `valid_size` int32 [B, 2]. Outputs, float32 under any policy,
    at the stride of the last skip of each branch: `semantic_logits` [B, h, w, K], `center_heatmap` [B, h, w, 1] and
    `center_offset` [B, h, w, 2], (dy, dx) in pixels of that grid.

    Raises:
        InputError: an endpoint that the backbone does not have, or groups that do not divide the channels.
    """
    image = keras.Input((None, None, 3), dtype="float32", name="image")
    valid_size = keras.Input((2,), dtype="int32", name="valid_size")
    endpoints = _backbone(NormalizeImage(config.normalization, name="normalize")(image, valid_size), config)
    semantic = _branch(endpoints, "semantic", config.semantic, config)
    instance = _branch(endpoints, "instance", config.instance, config)
    logits = len(channels(config, categories)["semantic_logits"])
    outputs = {
        "semantic_logits": _head("semantic_head", config.semantic, logits, config)(semantic),
        "center_heatmap": _head("center_head", config.instance, 1, config)(instance),
        "center_offset": _head("offset_head", config.instance, 2, config)(instance),
    }
    network = keras.Model({"image": image, "valid_size": valid_size}, outputs, name="panoptic_deeplab")
    return Networks(train=network, infer=network)


def _norm(config: PanopticDeepLabConfig) -> Norm:
    return Norm(**config.norm.model_dump())


def _backbone(x, config: PanopticDeepLabConfig) -> dict[str, keras.KerasTensor]:
    """Endpoints of the configured backbone."""
    return BACKBONES[config.backbone.name].build(x, config.backbone, _norm(config))


def _branch(endpoints: dict, name: str, branch: BranchConfig, config: PanopticDeepLabConfig):
    """Pyramid and decoder of one branch: [B, h, w, branch.channels] at the stride of its last skip."""
    skips = [skip.endpoint for skip in branch.skips]
    if not set(skips) <= set(endpoints) or skips != sorted(set(skips), reverse=True):
        raise InputError(
            f"model.{name}.skips {skips}: expected some of {', '.join(sorted(endpoints, reverse=True))} in order"
        )
    if config.aspp_rates:
        pyramid = ASPP(
            branch.aspp_channels,
            config.aspp_rates,
            pool_window=config.aspp_pool_window,
            dropout=config.aspp_dropout,
            align_corners=config.align_corners,
            norm=_norm(config),
            name=f"{name}_aspp",
        )
    else:
        pyramid = ConvNorm(branch.aspp_channels, 1, norm=_norm(config), name=f"{name}_projection")
    decoder = SkipDecoder(
        tuple(skip.channels for skip in branch.skips),
        branch.channels,
        kernel_size=config.kernel_size,
        separable=config.separable,
        align_corners=config.align_corners,
        norm=_norm(config),
        name=f"{name}_decoder",
    )
    return decoder([pyramid(endpoints["res5"]), *(endpoints[skip] for skip in skips)])


def _head(name: str, branch: BranchConfig, outputs: int, config: PanopticDeepLabConfig) -> DenseHead:
    return DenseHead(
        branch.head_channels,
        outputs,
        kernel_size=config.kernel_size,
        separable=config.separable,
        norm=_norm(config),
        name=name,
    )


def targets(panoptic, config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Training targets of one panoptic map int32 [H, W]; see `targets/panoptic_deeplab.py`."""
    # Here and not above: targets are TensorFlow, the network must import without it.
    from tfpanoptic.targets.centers import panoptic_deeplab_targets

    return panoptic_deeplab_targets(panoptic, categories.thing_ids, **config.targets.model_dump())


def loss(outputs, targets, config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Unweighted terms `semantic`, `center` and `offset`, float32 [B]; see `losses/panoptic_deeplab.py`."""
    declared = channels(config, categories)["semantic_logits"]
    return panoptic_deeplab_loss(outputs, targets, declared, config.semantic_top_k, config.align_corners)


def postprocess(outputs, size, valid_size, config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """`segment_ids` int32 [B, *size] and tables `labels`, `scores` [B, N]; see `postprocess/panoptic_deeplab.py`."""
    return panoptic_deeplab_postprocess(
        outputs,
        size,
        valid_size,
        channels=channels(config, categories)["semantic_logits"],
        thing_ids=categories.thing_ids,
        num_categories=len(categories),
        align_corners=config.align_corners,
        **config.postprocess.model_dump(),
    )


def perfect_outputs(panoptic, config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Outputs of perfect heads for one panoptic map int32 [H, W]; see `postprocess/perfect_outputs.py`.

    A crowd is one more instance here. The losses teach nothing there that speaks against it, PQ does not count
    it, and without a centre of its own its pixels would join other instances.
    """
    panoptic = np.asarray(panoptic)
    crowd = np.isin(category_of(panoptic), categories.thing_ids) & (instance_of(panoptic) == 0)
    panoptic = np.where(crowd, encode(category_of(panoptic), MAX_INSTANCE), panoptic).astype(np.int32)
    return panoptic_deeplab_perfect_outputs(
        {name: np.asarray(target) for name, target in targets(panoptic, config, categories).items()},
        channels(config, categories)["semantic_logits"],
        head_stride("semantic", config),
        head_stride("instance", config),
        config.align_corners,
    )


ARCHITECTURE = Architecture(
    "panoptic_deeplab",
    PanopticDeepLabConfig,
    build,
    targets,
    loss,
    postprocess,
    channels,
    perfect_outputs,
    relaxations,
)
