"""EoMT: a plain vision transformer whose last blocks see queries beside the patches; each says a mask and a class.

Kerssies et al. 2025, Your ViT is Secretly an Image Segmentation Model, in the form of the authors' repository
(`models/eomt.py`). There is no detector and no second branch: things and stuff are masks alike. The configuration
stops at this file; whatever needs Keras or TensorFlow is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from tfpanoptic.architecture import Architecture, CategoryLayer, Networks, Oracle, Segments, Tunable
from tfpanoptic.backbones.vit import PATCH, ViTConfig, vit
from tfpanoptic.categories import CategoryTable
from tfpanoptic.oracles.query_settings import mask_stride, relaxations, taught_segments
from tfpanoptic.settings.annealing import annealing_steps
from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.sizes import Grid

if TYPE_CHECKING:
    import keras

# Enlargements of the patches by 2, from stride 16 to 4.
UPSCALES = 2
# Draws of the train network: one of the rotary positions, and one of each query block.
ROTARY_DRAW, FIRST_MASK_DRAW = 1, 2


class MaskedAttentionConfig(StrictConfig):
    """When the masks of the query blocks go: from a step to another of each, or one block after the other.

    Source: EoMT's configurations; the phases are LightlyTrain's rule, which gives EoMT-L's numbers.
    """

    # Length of the run, in which the blocks follow one another; see `settings/annealing.py`.
    steps: int | None = Field(None, ge=3)
    # In place of it: for each query block the step from which its masks go, and the first without them.
    starts: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> MaskedAttentionConfig:
        given = [self.steps is not None, self.starts is not None, self.ends is not None]
        if given not in ([True, False, False], [False, True, True]):
            raise ValueError("expected steps, or starts and ends")
        for start, end in zip(self.starts or (), self.ends or ()):
            if not 0 <= start < end:
                raise ValueError(f"ends must be above starts, and these not negative, found {start} to {end}")
        return self


class TargetsConfig(StrictConfig):
    """What a training image is compared with; see `losses/mask_classification.py`."""

    # Places for the segments of an image; beyond them the smallest are left out.
    max_segments: int = Field(100, ge=1)
    # Where masks are compared, in an image for matching and in each pair for the loss.
    points: int = Field(12_544, ge=4)
    # So many times as many are drawn for a pair, of which the most uncertain make up this share.
    oversample: float = Field(3.0, ge=1)
    importance: float = Field(0.75, ge=0, le=1)


class LossWeights(StrictConfig):
    """Weights of the loss terms, the same for every prediction; matching has those of EoMT, whatever these are."""

    category: float = Field(2.0, ge=0)
    mask: float = Field(5.0, ge=0)
    dice: float = Field(5.0, ge=0)


class PostprocessConfig(StrictConfig):
    """Merging; see `postprocess/mask_classification.py`. Defaults: EoMT, which calls the score `mask_thresh`."""

    score: float = Field(0.8, ge=0, lt=1)
    mask_threshold: float = Field(0.5, gt=0, lt=1)
    overlap: float = Field(0.8, ge=0, le=1)
    # "network": at the network's size, and the finished map is enlarged. "file": at the photo's own, as published.
    merge_at: Literal["network", "file"] = "network"


# What tuning tries, own choice: a model that has seen little says nothing with a score of 0.8.
TUNABLE = {
    "score": Tunable((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    "overlap": Tunable((0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    "mask_threshold": Tunable((0.3, 0.4, 0.5, 0.6, 0.7)),
}


class EoMTConfig(StrictConfig):
    """All settings of the model; defaults are those of EoMT on COCO."""

    name: Literal["eomt"] = "eomt"
    backbone: ViTConfig
    # "imagenet": minus the mean of ImageNet, divided by its deviation. "per_image": by the image's own pixels.
    normalization: Literal["imagenet", "per_image"] = "imagenet"
    queries: int = Field(200, ge=1, le=9_999)
    # The last blocks of the backbone, which see the queries.
    query_blocks: int = Field(3, ge=1)
    # Null trains without masks.
    masked_attention: MaskedAttentionConfig | None = None
    targets: TargetsConfig = TargetsConfig()
    loss_weights: LossWeights = LossWeights()
    # Weight of a query without a segment in the class term.
    no_object_weight: float = Field(0.1, gt=0)
    postprocess: PostprocessConfig = PostprocessConfig()

    @model_validator(mode="after")
    def _blocks_fit(self) -> EoMTConfig:
        depth, masked = self.backbone.size.depth, self.masked_attention
        if self.query_blocks > depth:
            raise ValueError(
                f"query_blocks must be at most the {depth} blocks of the backbone, found {self.query_blocks}"
            )
        for name in ("starts", "ends"):
            steps = getattr(masked, name, None)
            if steps is not None and len(steps) != self.query_blocks:
                raise ValueError(
                    f"masked_attention.{name}: expected a step for each of {self.query_blocks} query blocks, "
                    f"found {len(steps)}"
                )
        try:
            _ = self.annealing
        except ValueError as error:
            raise ValueError(f"masked_attention.steps: {error}") from None
        return self

    @property
    def annealing(self) -> tuple[tuple[int, int], ...] | None:
        """First step and end of the annealing of each query block; None without masks."""
        masked = self.masked_attention
        if masked is None:
            return None
        if masked.steps is not None:
            return tuple(zip(*annealing_steps(masked.steps, self.query_blocks), strict=True))
        return tuple(zip(masked.starts or (), masked.ends or (), strict=True))


def grid(config: EoMTConfig) -> Grid:
    """Whole patches; half-pixel centres."""
    return Grid(PATCH)


def channels(config: EoMTConfig, categories: CategoryTable) -> dict[str, tuple[int, ...]]:
    """Category id of each channel of the class head; 0, "no object", is the last."""
    return {"class_logits": (*categories.ids, 0)}


class Prediction(NamedTuple):
    """The layers that say masks and classes, the same after every block.

    Attributes:
        queries: tokens -> queries.
        class_head: queries -> class logits.
        mask_head: queries -> vectors.
        patch_grid: tokens -> their patches as a grid.
        upscales: patches -> features at stride 4.
        product: vectors and features -> mask logits.
    """

    queries: keras.layers.Layer
    class_head: keras.layers.Layer
    mask_head: keras.layers.Layer
    patch_grid: keras.layers.Layer
    upscales: tuple[keras.layers.Layer, ...]
    product: keras.layers.Layer

    def __call__(self, tokens, patches) -> dict[str, Any]:
        """`class_logits` [B, Q, K + 1] and `mask_logits` [B, h, w, Q] of normalised tokens [B, Q + N, C]."""
        query = self.queries(tokens)
        features = self.patch_grid(tokens, patches)
        for upscale in self.upscales:
            features = upscale(features)
        masks = self.product(self.mask_head(query), features)
        return {"class_logits": self.class_head(query), "mask_logits": masks}


def prediction(width: int, queries: int, outputs: int) -> Prediction:
    """These layers for tokens of `width` channels, so many queries, and so many classes, "no object" included."""
    import keras

    from tfpanoptic.layers.mask_prediction import MaskEmbedding, MaskLogits, Upscale, pytorch_uniform
    from tfpanoptic.layers.tokens import FirstTokens, PatchGrid

    start = pytorch_uniform(width)
    return Prediction(
        FirstTokens(queries, name="first_tokens"),
        keras.layers.Dense(
            outputs, kernel_initializer=start, bias_initializer=start, dtype="float32", name="class_head"
        ),
        MaskEmbedding(width, name="mask_head"),
        PatchGrid(name="patch_grid"),
        tuple(Upscale(width, name=f"upscale{number}") for number in range(1, UPSCALES + 1)),
        MaskLogits(name="mask_logits"),
    )


def build(config: EoMTConfig, categories: CategoryTable) -> Networks:
    """The networks.

    Inputs `image` float32 [B, H, W, 3], RGB 0..255, and `valid_size` int32 [B, 2]; for training also `seed` and
    `step`, where they matter. Outputs float32 at stride 4: `class_logits` [B, Q, K + 1] and `mask_logits` [B, h, w, Q];
    of the train network also those before each query block, as `class_logits_0`, `mask_logits_0` and so on.
    """
    import keras

    from tfpanoptic.layers.normalize_image import NormalizeImage
    from tfpanoptic.layers.query_mask import QueryMask
    from tfpanoptic.layers.tokens import QueryTokens

    inputs = {
        "image": keras.Input((None, None, 3), dtype="float32", name="image"),
        "valid_size": keras.Input((2,), dtype="int32", name="valid_size"),
    }
    drawn = {
        "seed": keras.Input((2,), dtype="int32", name="seed"),
        "step": keras.Input((), dtype="int32", name="step"),
    }
    transformer = vit(config.backbone, ROTARY_DRAW)
    says = prediction(config.backbone.size.width, config.queries, len(channels(config, categories)["class_logits"]))
    masks = [
        QueryMask(start, end, FIRST_MASK_DRAW + block, name=f"query_mask{block}")
        for block, (start, end) in enumerate(config.annealing or ())
    ]
    normalized = NormalizeImage(config.normalization, name="normalize")(inputs["image"], inputs["valid_size"])
    patches = transformer.patch_embedding(normalized)
    queries = QueryTokens(config.queries, name="queries")

    def network(seed) -> dict[str, Any]:
        """Outputs of the network; in training, which has a seed, those before each query block, too."""
        rotary = None if transformer.rotary is None else transformer.rotary(patches, seed)
        tokens = transformer.tokens(patches)
        outputs: dict[str, Any] = {}
        first = len(transformer.blocks) - config.query_blocks
        for number, block in enumerate(transformer.blocks):
            visible = None
            if number == first:
                tokens = queries(tokens)
            if number >= first and seed is not None:
                place = number - first
                before = says(transformer.norm(tokens), patches)
                outputs |= {f"{name}_{place}": value for name, value in before.items()}
                if masks:
                    visible = masks[place](before["mask_logits"], patches, seed, drawn["step"])
            tokens = block(tokens, rotary, visible)
        return outputs | says(transformer.norm(tokens), patches)

    train = network(drawn["seed"])
    needed = {"seed": bool(masks) or transformer.rotary is not None, "step": bool(masks)}
    truth = {name: tensor for name, tensor in drawn.items() if needed[name]}
    return Networks(
        keras.Model({**inputs, **truth}, train, name="eomt"), keras.Model(inputs, network(None), name="eomt_infer")
    )


def targets(example: dict[str, Any], config: EoMTConfig, categories: CategoryTable) -> dict[str, Any]:
    """The map of an image's segments and their categories; see `targets/segment_table.py`."""
    from tfpanoptic.targets.segment_table import segment_targets

    return segment_targets(example["panoptic"], categories.thing_ids, example["seed"], config.targets.max_segments)


def loss(outputs, targets, config: EoMTConfig, categories: CategoryTable) -> dict[str, Any]:
    """Unweighted terms `class`, `mask` and `dice`, each summed over the predictions."""
    from tfpanoptic.losses.mask_classification import mask_classification_loss

    return mask_classification_loss(
        outputs,
        targets,
        channels(config, categories)["class_logits"],
        predictions=config.query_blocks + 1,
        no_object_weight=config.no_object_weight,
        **config.targets.model_dump(exclude={"max_segments"}),
    )


def target_counts(targets, config: EoMTConfig) -> dict[str, Any]:
    """The number of segments, and of the class term the sum of its weights."""
    from tfpanoptic.losses.mask_classification import mask_classification_counts

    return mask_classification_counts(targets, config.queries, config.no_object_weight)


def loss_weights(config: EoMTConfig) -> dict[str, float]:
    """Weight of each term, the same for every prediction."""
    weights = config.loss_weights
    return {"class": weights.category, "mask": weights.mask, "dice": weights.dice}


def last_steps(config: EoMTConfig) -> dict[str, int]:
    """The step from which on no query is masked."""
    return {"masked_attention": max(end for _, end in config.annealing)} if config.annealing else {}


def postprocess(outputs, size, valid_size, config: EoMTConfig, categories: CategoryTable) -> Segments:
    """Merging at network size; see `postprocess/mask_classification.py`."""
    from tfpanoptic.postprocess.mask_classification import merge_queries

    rules = {"thing_ids": categories.thing_ids, **_rules(config, categories)}
    return merge_queries(**_logits(outputs), size=size, valid_size=valid_size, **rules)


def own_size_postprocess(
    outputs, size, valid_size, own_size, config: EoMTConfig, categories: CategoryTable
) -> Segments:
    """Merging at the images' own size, as published."""
    from tfpanoptic.postprocess.mask_classification import merge_queries_at_own_size

    rules = {"thing_ids": categories.thing_ids, **_rules(config, categories)}
    return merge_queries_at_own_size(**_logits(outputs), size=size, valid_size=valid_size, own_size=own_size, **rules)


def fates(outputs, size, valid_size, config: EoMTConfig, categories: CategoryTable) -> dict[str, Any]:
    """How many queries fall at which rule; see `postprocess/query_fates.py`."""
    from tfpanoptic.postprocess.query_fates import query_fates

    return query_fates(**_logits(outputs), size=size, valid_size=valid_size, **_rules(config, categories))


def _logits(outputs) -> dict[str, Any]:
    return {name: outputs[name] for name in ("class_logits", "mask_logits")}


def _rules(config: EoMTConfig, categories: CategoryTable) -> dict[str, Any]:
    """What decides where a query falls."""
    return {
        "channels": channels(config, categories)["class_logits"],
        **config.postprocess.model_dump(exclude={"merge_at"}),
    }


def perfect_outputs(panoptic, config: EoMTConfig, categories: CategoryTable) -> dict[str, Any]:
    """Outputs of perfect queries for one panoptic map int32 [H, W]; see `oracles/queries.py`."""
    from tfpanoptic.oracles.queries import perfect_queries

    declared = channels(config, categories)["class_logits"]
    return perfect_queries(
        panoptic, declared, categories.thing_ids, config.queries, taught_segments(config), mask_stride(config)
    )


ARCHITECTURE = Architecture(
    name="eomt",
    config=EoMTConfig,
    grid=grid,
    channels=channels,
    category_layers=(CategoryLayer("class_head", "class_logits"),),
    build=build,
    targets=targets,
    loss=loss,
    loss_weights=loss_weights,
    postprocess=postprocess,
    own_size_postprocess=own_size_postprocess,
    target_counts=target_counts,
    fates=fates,
    oracle=Oracle(perfect_outputs, relaxations),
    last_steps=last_steps,
    tunable=TUNABLE,
)
