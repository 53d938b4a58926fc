"""Panoptic-DeepLab: dual ASPP and decoders, class-agnostic centres and offsets.

Cheng et al. 2020, in the form of DeepLab2 (`model/decoder/panoptic_deeplab.py` and its configurations).
The configuration stops at this file; layers, losses, targets and post-processing take plain arguments. Whatever needs
Keras or TensorFlow is imported where it is used: a configuration is read and checked without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, PositiveInt

from tfpanoptic.architecture import Architecture, CategoryLayer, Networks, Oracle, Segments, Views
from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import SettingError
from tfpanoptic.oracles.center_settings import head_stride, relaxations
from tfpanoptic.settings.config import Named, StrictConfig
from tfpanoptic.settings.norm import NormConfig
from tfpanoptic.settings.sizes import Grid

if TYPE_CHECKING:
    from tfpanoptic.layers.norm import Norm

# The two branches, in the order of their dropouts.
BRANCHES = ("semantic", "instance")


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


SEMANTIC_BRANCH = BranchConfig(
    channels=256,
    head_channels=256,
    skips=(SkipConfig(endpoint="res3", channels=64), SkipConfig(endpoint="res2", channels=32)),
)
INSTANCE_BRANCH = BranchConfig(
    channels=128,
    head_channels=32,
    skips=(SkipConfig(endpoint="res3", channels=32), SkipConfig(endpoint="res2", channels=16)),
)


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

    name: Literal["panoptic_deeplab"] = "panoptic_deeplab"
    backbone: Annotated[Any, Named(BACKBONES)]
    # "symmetric": x / 127.5 - 1. "per_image": zero mean and unit deviation of the image's valid pixels.
    normalization: Literal["symmetric", "per_image"] = "symmetric"
    norm: NormConfig = NormConfig()
    align_corners: bool = True
    # () leaves one 1x1 projection instead of the pyramid.
    aspp_rates: tuple[PositiveInt, ...] = (3, 6, 9)
    # Window of the image pooling, in cells of the backbone's output, whatever the scale of a view; null pools over
    # everything.
    aspp_pool_window: tuple[PositiveInt, PositiveInt] | None = None
    aspp_dropout: float = Field(0.1, ge=0, lt=1)
    # Depthwise separable 3x3 convolutions in the pyramids, as in the paper; DeepLab2's are plain.
    aspp_separable: bool = False
    # Decoder and head convolutions: depthwise separable or plain, and their kernel.
    separable: bool = True
    kernel_size: int = Field(5, ge=1)
    semantic: BranchConfig = SEMANTIC_BRANCH
    instance: BranchConfig = INSTANCE_BRANCH
    # A channel for void in front of the semantic head, as DeepLab2 has on COCO; never a target.
    void_channel: bool = False
    # Share of the hardest pixels that the semantic loss averages.
    semantic_top_k: float = Field(0.2, gt=0, le=1)
    loss_weights: LossWeights = LossWeights()
    targets: TargetsConfig = TargetsConfig()
    postprocess: PostprocessConfig = PostprocessConfig()


def grid(config: PanopticDeepLabConfig) -> Grid:
    """The backbone's stride; with aligned corners inputs have a pixel more than a multiple of it."""
    return Grid(config.backbone.output_stride, plus_one=config.align_corners, align_corners=config.align_corners)


def channels(config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, tuple[int, ...]]:
    """Category id of each channel of the classification heads, 0 for void."""
    return {"semantic_logits": ((0,) if config.void_channel else ()) + categories.ids}


def build(config: PanopticDeepLabConfig, categories: CategoryTable) -> Networks:
    """The networks; only what `seed` drops, of the pyramids and of the backbone, is different in training.

    Inputs `image` float32 [B, H, W, 3], RGB 0..255, `valid_size` int32 [B, 2] and, for training where something is
    dropped, `seed` int32 [B, 2]. Outputs, float32 under any policy, at the stride of the last skip of each branch:
    `semantic_logits` [B, h, w, K], `center_heatmap` [B, h, w, 1] and `center_offset` [B, h, w, 2], (dy, dx) in pixels
    of that grid.

    Raises:
        SettingError: a backbone's option or an endpoint that it does not have.
    """
    import keras

    from tfpanoptic.layers.normalize_image import NormalizeImage
    from tfpanoptic.layers.seeded_dropout import without_seed

    inputs = {
        "image": keras.Input((None, None, 3), dtype="float32", name="image"),
        "valid_size": keras.Input((2,), dtype="int32", name="valid_size"),
    }
    backbone = BACKBONES[config.backbone.name]
    if backbone.drops(config.backbone) or bool(config.aspp_rates and config.aspp_dropout):
        inputs["seed"] = keras.Input((2,), dtype="int32", name="seed")
    normalized = NormalizeImage(config.normalization, name="normalize")(inputs["image"], inputs["valid_size"])
    endpoints = backbone.build(normalized, config.backbone, _norm(config), inputs.get("seed"))
    semantic_map, instance_map = (_branch(name, config, endpoints, inputs.get("seed")) for name in BRANCHES)
    logits = len(channels(config, categories)["semantic_logits"])
    outputs = {
        "semantic_logits": _head("semantic_head", config.semantic, logits, config)(semantic_map),
        "center_heatmap": _head("center_head", config.instance, 1, config)(instance_map),
        "center_offset": _head("offset_head", config.instance, 2, config)(instance_map),
    }
    train = keras.Model(inputs, outputs, name=config.name)
    return Networks(train, without_seed(train))


def _norm(config: PanopticDeepLabConfig) -> Norm:
    from tfpanoptic.layers.norm import Norm

    return Norm(**config.norm.model_dump())


def _branch(name: str, config: PanopticDeepLabConfig, endpoints: dict, seed):
    """The map of one branch, [B, h, w, C] at the stride of its last skip."""
    from tfpanoptic.layers.aspp import ASPP
    from tfpanoptic.layers.conv import ConvNorm
    from tfpanoptic.layers.skip_decoder import SkipDecoder

    branch: BranchConfig = getattr(config, name)
    skips = [skip.endpoint for skip in branch.skips]
    if not set(skips) <= set(endpoints) or skips != sorted(set(skips), reverse=True):
        known = ", ".join(sorted(endpoints, reverse=True))
        raise SettingError(f"model.{name}.skips", f"expected some of {known} in this order, found {skips}")
    decoder = SkipDecoder(
        tuple(skip.channels for skip in branch.skips),
        branch.channels,
        kernel_size=config.kernel_size,
        separable=config.separable,
        align_corners=config.align_corners,
        norm=_norm(config),
        name=f"{name}_decoder",
    )
    finer = [endpoints[skip] for skip in skips]
    if not config.aspp_rates:
        projection = ConvNorm(branch.aspp_channels, 1, norm=_norm(config), name=f"{name}_projection")
        return decoder([projection(endpoints["res5"]), *finer])
    pyramid = ASPP(
        branch.aspp_channels,
        config.aspp_rates,
        pool_window=config.aspp_pool_window,
        dropout=config.aspp_dropout,
        dropout_draw=BRANCHES.index(name),
        align_corners=config.align_corners,
        norm=_norm(config),
        separable=config.aspp_separable,
        name=f"{name}_aspp",
    )
    return decoder([pyramid(endpoints["res5"], seed), *finer])


def _head(name: str, branch: BranchConfig, outputs: int, config: PanopticDeepLabConfig):
    from tfpanoptic.layers.dense_head import DenseHead

    return DenseHead(
        branch.head_channels,
        outputs,
        kernel_size=config.kernel_size,
        separable=config.separable,
        norm=_norm(config),
        name=name,
    )


def targets(example: dict[str, Any], config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Training targets of one image, from its panoptic map int32 [H, W] alone; see `targets/centers.py`."""
    from tfpanoptic.targets.centers import panoptic_deeplab_targets

    return panoptic_deeplab_targets(example["panoptic"], categories.thing_ids, **config.targets.model_dump())


def loss(outputs, targets, config: PanopticDeepLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Unweighted terms `semantic`, `center` and `offset`, float32 [B]; see `losses/centers.py`."""
    from tfpanoptic.losses.centers import panoptic_deeplab_loss

    declared = channels(config, categories)["semantic_logits"]
    return panoptic_deeplab_loss(outputs, targets, declared, config.semantic_top_k, config.align_corners)


def loss_weights(config: PanopticDeepLabConfig) -> dict[str, float]:
    """Weight of each term."""
    return config.loss_weights.model_dump()


def postprocess(outputs, size, valid_size, config: PanopticDeepLabConfig, categories: CategoryTable) -> Segments:
    """Segments int32 [B, *size] by grouping and merging; see `postprocess/centers.py`."""
    from tfpanoptic.postprocess.centers import panoptic_deeplab_postprocess

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
    """Outputs of perfect heads for one panoptic map int32 [H, W]; see `oracles/centers.py`.

    A crowd is one more instance here; the losses teach nothing there that speaks against it.
    """
    from tfpanoptic.oracles.centers import panoptic_deeplab_perfect_outputs
    from tfpanoptic.oracles.crowds import crowds_as_instances

    panoptic = crowds_as_instances(panoptic, categories.isthing)
    target = targets({"panoptic": panoptic}, config, categories)
    return panoptic_deeplab_perfect_outputs(
        {name: np.asarray(values) for name, values in target.items()},
        channels(config, categories)["semantic_logits"],
        head_stride("semantic", config),
        head_stride("instance", config),
        config.align_corners,
    )


def view_values(outputs, growth, mirrored: bool) -> dict[str, Any]:
    """What is averaged over views of an image; see `postprocess/views.py`."""
    from tfpanoptic.postprocess.views import center_values

    return center_values(outputs, growth, mirrored)


def view_outputs(means) -> dict[str, Any]:
    """Outputs of the heads from these averages."""
    from tfpanoptic.postprocess.views import center_outputs

    return center_outputs(means)


ARCHITECTURE = Architecture(
    name="panoptic_deeplab",
    config=PanopticDeepLabConfig,
    grid=grid,
    channels=channels,
    category_layers=(CategoryLayer("semantic_head/predict", "semantic_logits"),),
    build=build,
    targets=targets,
    loss=loss,
    loss_weights=loss_weights,
    postprocess=postprocess,
    oracle=Oracle(perfect_outputs, relaxations),
    views=Views(view_values, view_outputs),
)
