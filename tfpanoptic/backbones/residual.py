"""Residual networks: which block strides or dilates, how a block ends, and which are dropped in training.

Source: He et al. 2016, section 3.2; Huang et al. 2016 (stochastic depth), in the form of DeepLab2
`model/layers/{axial_block_groups,axial_blocks,drop_path}.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from tfpanoptic.backbones.dilated import dilated
from tfpanoptic.errors import SettingError

# Keras and the layers on it are imported where they are used: configurations are read without them.
if TYPE_CHECKING:
    from tfpanoptic.layers.norm import Norm

LAST_STAGE = 5


class Place(NamedTuple):
    """Where in a network a block stands.

    Attributes:
        stage, number: of the stage, and of the block in it, from 1 on.
        input_stride: of its input, had nothing been dilated.
        stride, dilation: of its first 3x3 convolution.
        next_dilation: of what follows in the stage.
        group: start of the stage's name.
    """

    stage: int
    number: int
    input_stride: int
    stride: int = 1
    dilation: int = 1
    next_dilation: int = 1
    group: str = "stage"

    @property
    def name(self) -> str:
        """Start of the names of its layers."""
        return f"{self.group}{self.stage}_block{self.number}"


class DropPath(NamedTuple):
    """Stochastic depth: training leaves out the branch of some blocks for some images.

    Attributes:
        rate: how often where the input of a block has stride 32, had nothing been dilated; linearly less per halving,
            down to 0 at stride 2.
        from_stride: blocks whose input has a smaller stride, had nothing been dilated, are never left out.
        seed: int32 `[B, 2]`, of each image; an architecture that gives none cannot leave out anything.
    """

    rate: float = 0.0
    from_stride: int = 2
    seed: Any = None

    def of(self, place: Place) -> float:
        """The rate of a block. Stages are counted by the stride of the block's input, 32 being the last of four."""
        return self.rate * (math.log2(place.input_stride) - 1) / 4 if place.input_stride >= self.from_stride else 0.0


NO_DROP = DropPath()


def stages(
    x,
    counts: tuple[int, ...],
    output_stride: int,
    branch: Callable,
    norm: Norm,
    drop: DropPath = NO_DROP,
    stride: int = 2,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last stages of a network, up to stage 5, whose stride is 32 where nothing is dilated.

    The first block of a stage strides where its input is finer than the stage. Where that would pass the output
    stride, the blocks after it dilate.

    Args:
        x: activated map.
        counts: blocks of each stage.
        output_stride: largest stride of a map.
        branch: (map, its `Place`) -> map, which is added to the block's input.
        norm: of the shortcuts.
        drop: of the branches.
        stride: of `x`.

    Returns:
        `res{stage}`, the maps after the last ReLU of each stage, and `sum{stage}`, those before it.
    """
    import keras

    first = LAST_STAGE + 1 - len(counts)
    blocks = [(stage, number) for stage, count in enumerate(counts, first) for number in range(1, count + 1)]
    wanted = [2 if number == 1 and 2**stage > stride else 1 for stage, number in blocks]
    activated, sums = {}, {}
    for (stage, number), full, own in zip(blocks, wanted, dilated(wanted, output_stride, stride), strict=True):
        place = Place(stage, number, 2**stage // full, *own, max(1, 2**stage // output_stride))
        total = residual_sum(branch(x, place), x, place, norm, drop)
        x = keras.layers.ReLU(name=f"{place.name}_relu")(total)
        activated[f"res{stage}"], sums[f"sum{stage}"] = x, total
    return activated, sums


def residual_sum(branch, x, place: Place, norm: Norm, drop: DropPath = NO_DROP):
    """The branch of a block plus its input, not activated.

    The input is projected where the channels change, by the layer `NAME_shortcut`, else only subsampled.

    Raises:
        SettingError: a rate without a seed.
    """
    import keras

    from tfpanoptic.layers.conv import ConvNorm
    from tfpanoptic.layers.seeded_dropout import SeededDropout

    rate = drop.of(place)
    if rate and drop.seed is None:
        raise SettingError("model.backbone.drop_path", f"expected 0 in this architecture, found {drop.rate}")
    if rate:
        draw = crc32(place.name.encode())
        branch = SeededDropout(rate, draw, whole=True, name=f"{place.name}_drop_path")(branch, drop.seed)
    if x.shape[-1] != branch.shape[-1]:
        shortcut = ConvNorm(
            branch.shape[-1], 1, place.stride, activation=None, norm=norm, name=f"{place.name}_shortcut"
        )
        x = shortcut(x)
    elif place.stride > 1:
        x = keras.layers.MaxPooling2D(1, strides=place.stride, name=f"{place.name}_subsample")(x)
    return keras.layers.Add(name=f"{place.name}_add")([branch, x])
