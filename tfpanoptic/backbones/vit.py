"""Plain vision transformers in the forms of DINOv2 (with registers) and DINOv3, block by block.

Not one of `BACKBONES`, which give maps: a model that lets queries in between the blocks needs the blocks themselves.
Patches are 16 x 16 pixels. DINOv2 learned positions for patches of 14 x 14; its kernel and its table are resized when
its weights are converted.

Source: Dosovitskiy et al. 2021; Oquab et al. 2024 (DINOv2), Darcet et al. 2024 (registers); Simeoni et al. 2025
(DINOv3); timm `vit_*_patch14_reg4_dinov2`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field, model_validator

from tfpanoptic.settings.config import StrictConfig

if TYPE_CHECKING:
    import keras

PATCH = 16


class Size(NamedTuple):
    """Channels of a token, blocks, and heads of their attention."""

    width: int
    depth: int
    heads: int


SIZES = {
    "vit_tiny": Size(192, 12, 3),
    "vit_small": Size(384, 12, 6),
    "vit_base": Size(768, 12, 12),
    "vit_large": Size(1024, 24, 16),
}
# Channels between the layers of the network for each token, times the width.
EXPANSION = 4
# Of layer normalisation, and the deviation of the class token before training.
EPSILON = {"dinov2": 1e-6, "dinov3": 1e-5}
CLASS_DEVIATION = {"dinov2": 1e-6, "dinov3": 0.02}


class ViTConfig(StrictConfig):
    """A vision transformer and what may be changed about it.

    Attributes:
        form: "dinov2": learned positions. "dinov3": rotary ones, no bias of the keys, another epsilon.
        positions: (rows, columns) of the learned table: the input's sides divided by 16. Inputs of other sizes get
            the table resized; of no effect with "dinov3".
        rescale: in training the rotary places of an image are multiplied by a factor between 1 / rescale and rescale;
            of no effect with "dinov2".
        width, depth, heads: in place of the named size's.
        layer_scale: scale of each block's two branches before training.
    """

    name: Literal["vit_tiny", "vit_small", "vit_base", "vit_large"]
    form: Literal["dinov2", "dinov3"] = "dinov2"
    positions: tuple[int, int] = (40, 40)
    rescale: float = Field(2.0, ge=1)
    width: int | None = Field(None, gt=0)
    depth: int | None = Field(None, gt=0)
    heads: int | None = Field(None, gt=0)
    layer_scale: float = Field(1e-5, gt=0)

    @property
    def size(self) -> Size:
        """Width, depth and heads."""
        own = (self.width, self.depth, self.heads)
        return Size(*(given or named for given, named in zip(own, SIZES[self.name], strict=True)))

    @model_validator(mode="after")
    def _heads_fit(self) -> ViTConfig:
        width, _, heads = self.size
        if width % heads:
            raise ValueError(f"width must be a multiple of the {heads} heads, found {width}")
        if self.form == "dinov3" and width // heads % 4:
            raise ValueError(f"dinov3 needs heads of a multiple of 4 channels, found {width} / {heads}")
        if min(self.positions) < 1:
            raise ValueError(f"positions must be two positive numbers, found {self.positions}")
        return self


class ViT(NamedTuple):
    """The layers of a transformer, in order.

    Attributes:
        patch_embedding: image float32 `[B, H, W, 3]`, normalised -> patches `[B, H / 16, W / 16, C]`.
        tokens: patches -> tokens `[B, 5 + G, C]`.
        rotary: patches and a seed -> rotary positions for the blocks; None where positions are learned.
        blocks: tokens -> tokens.
        norm: of the last tokens.
    """

    patch_embedding: keras.layers.Layer
    tokens: keras.layers.Layer
    rotary: keras.layers.Layer | None
    blocks: tuple[keras.layers.Layer, ...]
    norm: keras.layers.Layer


def vit(config: ViTConfig, draw: int = 0) -> ViT:
    """The layers of a transformer, with new weights.

    Args:
        config: of it.
        draw: of the rotary positions in training; see `ops.sampling`.
    """
    import keras

    from tfpanoptic.layers.rotary_positions import RotaryPositions
    from tfpanoptic.layers.tokens import PatchTokens
    from tfpanoptic.layers.transformer_block import TransformerBlock

    width, depth, heads = config.size
    learned, epsilon = config.form == "dinov2", EPSILON[config.form]
    start = keras.initializers.TruncatedNormal(stddev=0.02)
    return ViT(
        keras.layers.Conv2D(width, PATCH, strides=PATCH, kernel_initializer=start, name="patch_embedding"),
        PatchTokens(config.positions if learned else None, CLASS_DEVIATION[config.form], name="tokens"),
        None if learned else RotaryPositions(width // heads, config.rescale, draw, name="rotary"),
        tuple(
            TransformerBlock(
                width, heads, EXPANSION * width, epsilon, learned, config.layer_scale, name=f"block{number}"
            )
            for number in range(depth)
        ),
        keras.layers.LayerNormalization(epsilon=epsilon, dtype="float32", name="final_norm"),
    )
