"""DeeperLab: one decoder, a semantic head and four heads that find instances by five keypoints.

Yang et al. 2019. No code of the authors is public: what the paper leaves open is an own choice, named where it is made.
The configuration stops at this file; layers, losses, targets and post-processing take plain arguments. Whatever needs
Keras or TensorFlow is imported where it is used: a configuration is read and checked without them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PositiveInt

from tfpanoptic.architecture import Architecture, CategoryLayer, Networks, Oracle, Segments, Tunable, Views
from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import SettingError
from tfpanoptic.oracles.keypoint_settings import block_side, fine_stride, relaxations
from tfpanoptic.settings.config import Named, StrictConfig
from tfpanoptic.settings.norm import NormConfig
from tfpanoptic.settings.sizes import Grid

# Channels of the heads beside the semantic one: five keypoints, two coordinates, eight edges of the star.
HEADS = {"keypoint_logits": 5, "short_offset": 10, "middle_offset": 16, "long_offset": 10}


class DecoderConfig(StrictConfig):
    """The decoder; see `layers/space_to_depth_decoder.py`. Only `channels` and the kernel are the paper's."""

    # The backbone's map that joins; the heads are on its grid.
    endpoint: str = "res2"
    coarse_channels: int = Field(256, gt=0)
    fine_channels: int = Field(32, gt=0)
    hidden_channels: int = Field(1024, gt=0)
    channels: int = Field(256, gt=0)


class HeadsConfig(StrictConfig):
    """Widths between the two convolutions of the heads. Source: Yang et al. 2019, sections 3.2 and 3.3."""

    semantic_channels: int = Field(256, gt=0)
    instance_channels: int = Field(64, gt=0)


class TargetsConfig(StrictConfig):
    """Training targets; `radius` of the disks and areas in pixels at input size."""

    radius: int = Field(25, ge=1)
    max_instances: int = Field(200, ge=1, le=9_999)
    small_instance_area: int = Field(4096, ge=0)
    small_instance_weight: float = Field(3.0, gt=0)
    crowd_in_semantic: bool = True


class LossWeights(StrictConfig):
    """Weights of the loss terms. The paper does not give them: those of PersonLab's re-implementations.

    They hold for offsets in radii of the disks and for means over the keypoints; see `losses/keypoints.py`.
    """

    semantic: float = Field(1.0, ge=0)
    keypoint: float = Field(4.0, ge=0)
    short: float = Field(1.0, ge=0)
    middle: float = Field(0.25, ge=0)
    long: float = Field(0.125, ge=0)


class PostprocessConfig(StrictConfig):
    """Grouping and merging; see `postprocess/keypoints.py`, and `postprocess/keypoint_instances.py` for the reasons.

    Twice refining and a distance of 10 pixels are PersonLab's; the paper filters no stuff by its area. All other values
    are an own choice.
    """

    # By short offsets, times the heatmap's probability or times one.
    refinements: int = Field(2, ge=0)
    refinement_weight: Literal["probability", "one"] = "probability"
    # Of long offsets by themselves, before; re-implementations of PersonLab have 2.
    long_refinements: int = Field(0, ge=0)
    # Of votes by long offsets: of as many as a disk has pixels, or of each pixel's.
    long_weight: float = Field(0.25, ge=0)
    long_weight_per: Literal["disk", "pixel"] = "disk"
    keypoint_threshold: float = Field(0.05, ge=0)
    # In cells of the heads.
    keypoint_window: int = Field(3, ge=1)
    keypoint_distance: float = Field(10.0, ge=0)
    instance_score: float = Field(0.1, ge=0, lt=1)
    box_overlap: float = Field(0.5, ge=0, le=1)
    max_instances: int = Field(200, ge=1, le=9_999)
    stuff_area: int = Field(0, ge=0)


# What tuning tries, own choice: around the defaults, all but anything and hardly anything at the ends.
TUNABLE = {
    "instance_score": Tunable((0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)),
    "keypoint_threshold": Tunable((0.01, 0.02, 0.05, 0.1, 0.2)),
    "keypoint_distance": Tunable((4.0, 6.0, 8.0, 10.0, 14.0, 20.0)),
    "box_overlap": Tunable((0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
    "stuff_area": Tunable((0, 256, 1024, 2048, 4096)),
}


class DeeperLabConfig(StrictConfig):
    """All settings of the model."""

    name: Literal["deeperlab"] = "deeperlab"
    backbone: Annotated[Any, Named(BACKBONES)]
    # "symmetric": x / 127.5 - 1. "per_image": zero mean and unit deviation of the image's valid pixels.
    normalization: Literal["symmetric", "per_image"] = "symmetric"
    norm: NormConfig = NormConfig()
    # Own choice: whole blocks on inputs of k * stride. With aligned corners, DeepLab's, the last blocks are filled up.
    align_corners: bool = False
    aspp_channels: int = Field(256, gt=0)
    # At output stride 16.
    aspp_rates: tuple[PositiveInt, ...] = (6, 12, 18)
    aspp_dropout: float = Field(0.1, ge=0, lt=1)
    # Decoder and head convolutions: depthwise separable (own choice for the heads) or plain, and their kernel.
    separable: bool = True
    kernel_size: int = Field(7, ge=1)
    decoder: DecoderConfig = DecoderConfig()
    heads: HeadsConfig = HeadsConfig()
    # Share of the hardest pixels that the semantic loss averages.
    semantic_top_k: float = Field(0.15, gt=0, le=1)
    loss_weights: LossWeights = LossWeights()
    targets: TargetsConfig = TargetsConfig()
    postprocess: PostprocessConfig = PostprocessConfig()


def grid(config: DeeperLabConfig) -> Grid:
    """The backbone's stride; with aligned corners inputs have a pixel more than a multiple of it."""
    return Grid(config.backbone.output_stride, plus_one=config.align_corners, align_corners=config.align_corners)


def channels(config: DeeperLabConfig, categories: CategoryTable) -> dict[str, tuple[int, ...]]:
    """Category id of each channel of the semantic head."""
    return {"semantic_logits": categories.ids}


def build(config: DeeperLabConfig, categories: CategoryTable) -> Networks:
    """The networks; only what `seed` drops, of the pyramid and of the backbone, is different in training.

    Inputs `image` float32 [B, H, W, 3], RGB 0..255, `valid_size` int32 [B, 2] and, for training where something is
    dropped, `seed` int32 [B, 2]. Outputs, float32 under any policy, at the stride of the decoder's endpoint:
    `semantic_logits` [B, h, w, K], `keypoint_logits` [B, h, w, 5], and in pixels of that grid `short_offset` and
    `long_offset` [B, h, w, 10] and `middle_offset` [B, h, w, 16]; see `ops/keypoint_graph.py` for the order.

    Raises:
        SettingError: a backbone's option, or an endpoint that does not fit it.
    """
    import keras

    from tfpanoptic.layers.aspp import ASPP
    from tfpanoptic.layers.dense_head import DenseHead
    from tfpanoptic.layers.norm import Norm
    from tfpanoptic.layers.normalize_image import NormalizeImage
    from tfpanoptic.layers.seeded_dropout import without_seed
    from tfpanoptic.layers.space_to_depth_decoder import SpaceToDepthDecoder

    norm = Norm(**config.norm.model_dump())
    form: dict[str, Any] = {"kernel_size": config.kernel_size, "separable": config.separable, "norm": norm}
    inputs = {
        "image": keras.Input((None, None, 3), dtype="float32", name="image"),
        "valid_size": keras.Input((2,), dtype="int32", name="valid_size"),
    }
    backbone = BACKBONES[config.backbone.name]
    if backbone.drops(config.backbone) or config.aspp_dropout > 0:
        inputs["seed"] = keras.Input((2,), dtype="int32", name="seed")
    normalized = NormalizeImage(config.normalization, name="normalize")(inputs["image"], inputs["valid_size"])
    block = block_side(config)
    endpoints = backbone.build(normalized, config.backbone, norm, inputs.get("seed"))
    if config.decoder.endpoint not in endpoints:  # the oracle's "image" is none
        expected = ", ".join(endpoints)
        raise SettingError("model.decoder.endpoint", f"expected one of {expected}, found {config.decoder.endpoint!r}")
    pyramid = ASPP(
        config.aspp_channels,
        config.aspp_rates,
        dropout=config.aspp_dropout,
        align_corners=config.align_corners,
        norm=norm,
        name="aspp",
    )
    widths = config.decoder.model_dump(exclude={"endpoint"})
    decoder = SpaceToDepthDecoder(**widths, block=block, **form, name="decoder")
    joined = decoder([pyramid(endpoints["res5"], inputs.get("seed")), endpoints[config.decoder.endpoint]])
    semantic = len(channels(config, categories)["semantic_logits"])
    semantic_head = DenseHead(config.heads.semantic_channels, semantic, **form, name="semantic_head")
    predicted = {"semantic_logits": semantic_head(joined)}
    for name, width in HEADS.items():
        head = DenseHead(config.heads.instance_channels, width, **form, name=f"{name.split('_')[0]}_head")
        predicted[name] = head(joined)
    train = keras.Model(inputs, predicted, name="deeperlab")
    return Networks(train, without_seed(train))


def targets(example: dict[str, Any], config: DeeperLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Training targets of one image, from its panoptic map int32 [H, W] alone; see `targets/keypoints.py`."""
    from tfpanoptic.targets.keypoints import deeperlab_targets

    return deeperlab_targets(example["panoptic"], categories.thing_ids, **config.targets.model_dump())


def loss(outputs, targets, config: DeeperLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Unweighted terms `semantic`, `keypoint`, `short`, `middle` and `long`; see `losses/keypoints.py`."""
    from tfpanoptic.losses.keypoints import deeperlab_loss

    declared = channels(config, categories)["semantic_logits"]
    return deeperlab_loss(
        outputs, targets, declared, config.targets.radius, config.semantic_top_k, config.align_corners
    )


def target_counts(targets, config: DeeperLabConfig) -> dict[str, Any]:
    """Pixels that each term learns from; the semantic term is divided by the number of images."""
    from tfpanoptic.losses.keypoints import deeperlab_counts

    return deeperlab_counts(targets)


def loss_weights(config: DeeperLabConfig) -> dict[str, float]:
    """Weight of each term."""
    return config.loss_weights.model_dump()


def postprocess(outputs, size, valid_size, config: DeeperLabConfig, categories: CategoryTable) -> Segments:
    """Segments int32 [B, *size] by keypoints and majority vote; see `postprocess/keypoints.py`."""
    from tfpanoptic.postprocess.keypoints import deeperlab_postprocess

    return deeperlab_postprocess(
        outputs,
        size,
        valid_size,
        channels=channels(config, categories)["semantic_logits"],
        thing_ids=categories.thing_ids,
        num_categories=len(categories),
        align_corners=config.align_corners,
        radius=config.targets.radius,
        **config.postprocess.model_dump(),
    )


def perfect_outputs(panoptic, config: DeeperLabConfig, categories: CategoryTable) -> dict[str, Any]:
    """Outputs of perfect heads for one panoptic map int32 [H, W]; see `oracles/keypoints.py`."""
    from tfpanoptic.oracles.crowds import crowds_as_instances
    from tfpanoptic.oracles.keypoints import deeperlab_perfect_outputs

    panoptic = crowds_as_instances(panoptic, categories.isthing)
    target = targets({"panoptic": panoptic}, config, categories)
    return deeperlab_perfect_outputs(
        {name: np.asarray(values) for name, values in target.items()},
        channels(config, categories)["semantic_logits"],
        fine_stride(config),
        config.align_corners,
    )


def view_values(outputs, growth, mirrored: bool) -> dict[str, Any]:
    """What is averaged over views of an image; see `postprocess/views.py`."""
    from tfpanoptic.postprocess.views import keypoint_values

    return keypoint_values(outputs, growth, mirrored)


def view_outputs(means) -> dict[str, Any]:
    """Outputs of the heads from these averages."""
    from tfpanoptic.postprocess.views import keypoint_outputs

    return keypoint_outputs(means)


ARCHITECTURE = Architecture(
    name="deeperlab",
    config=DeeperLabConfig,
    grid=grid,
    channels=channels,
    category_layers=(CategoryLayer("semantic_head/predict", "semantic_logits"),),
    build=build,
    targets=targets,
    loss=loss,
    loss_weights=loss_weights,
    postprocess=postprocess,
    target_counts=target_counts,
    oracle=Oracle(perfect_outputs, relaxations),
    views=Views(view_values, view_outputs),
    tunable=TUNABLE,
)
