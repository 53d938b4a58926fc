"""The input-size policy and the grid of an architecture: which sizes network inputs have.

An image is resized by the policy, then padded at the bottom and right to a size that the grid allows and that is at
least `pad_to`. The functions take Python ints and scalar int32 tensors alike: they use operators alone.
Devices need them, so only the standard library is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tfpanoptic.errors import InputError, SettingError

if TYPE_CHECKING:
    from tfpanoptic.settings.input_size import InputConfig

# How grey values of more than 8 bits become 8.
DeepGrey = Literal["high_byte", "file_range"]
# Pixels of an image that a network gets as it is. Own choice: 24 million take 8 to 10 GB with a small Panoptic-DeepLab.
MOST_PIXELS = 32_000_000


class Grid(NamedTuple):
    """How the cells of an architecture's outputs lie on its input.

    Attributes:
        stride: sides of inputs are multiples of it, plus 1 where `plus_one`.
        plus_one: sides are k * stride + 1, as the aligned-corners networks of DeepLab2 need.
        align_corners: maps are resized with aligned corners, else with half-pixel centres.
    """

    stride: int
    plus_one: bool = False
    align_corners: bool = False

    def __str__(self) -> str:
        """The sides that it allows, for messages."""
        return f"k * {self.stride}" + (" + 1" if self.plus_one else "")


@dataclass(frozen=True)
class InputPolicy:
    """The policy as plain numbers; `InputConfig` explains them."""

    short_side: int | None = None
    max_long_side: int | None = None
    long_side: int | None = None
    size: tuple[int, int] | None = None
    pad_to: tuple[int, int] | None = None
    deep_grey: DeepGrey = "high_byte"


def resizes(config: InputConfig | InputPolicy) -> bool:
    """Whether images change their size before they are padded."""
    rules = (config.short_side, config.max_long_side, config.long_side, config.size)
    return any(rule is not None for rule in rules)


def resized_size(height: Any, width: Any, config: InputConfig | InputPolicy) -> tuple[Any, Any]:
    """(height, width) of an image after resizing, before padding.

    Sides are rounded half up, in integers, so that ints and tensors never differ.
    """
    if config.size is not None:
        return config.size
    short, long = smaller(height, width), larger(height, width)
    sides = [height, width]
    if config.long_side is not None:
        sides = [_ratio(side, config.long_side, long) for side in (height, width)]
    elif config.short_side is not None:
        sides = [_ratio(side, config.short_side, short) for side in (height, width)]
    if config.max_long_side is not None:
        limits = [_ratio(side, config.max_long_side, long) for side in (height, width)]
        sides = [smaller(side, limit) for side, limit in zip(sides, limits, strict=True)]
    return larger(sides[0], 1), larger(sides[1], 1)


def network_size(height: Any, width: Any, config: InputConfig | InputPolicy, grid: Grid) -> tuple[Any, Any]:
    """(height, width) of the network input for an image of `height` x `width`."""
    return padded_size(*resized_size(height, width, config), config, grid)


def fitting_size(height: int, width: int, canvas: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of an image that is shrunk to fit a canvas; its own, if it fits as it is.

    The proportions are kept. Sides are rounded half up, and have at least a pixel.

    Args:
        height, width: of the image.
        canvas: (height, width) of it.
    """
    if height <= canvas[0] and width <= canvas[1]:
        return height, width
    if height * canvas[1] >= width * canvas[0]:  # the height is what limits
        return canvas[0], max(_ratio(width, canvas[0], height), 1)
    return max(_ratio(height, canvas[1], width), 1), canvas[1]


def scaled_side(side: Any, scale: float, grid: Grid) -> Any:
    """A side of an image for a view at another scale, at least a pixel.

    With aligned corners the distance between the outermost pixels is scaled, so that k * stride + 1 stays such a side.
    Rounded half up, in integers; a scale counts in thousandths.

    Source: DeepLab2 (`scale_mutable_sequence`), which rounds down.
    """
    if scale == 1:
        return side
    edge, ratio = int(grid.align_corners), Fraction(scale).limit_denominator(1000)
    return larger(_ratio(side - edge, ratio.numerator, ratio.denominator) + edge, 1)


def padded_size(
    height: Any, width: Any, config: InputConfig | InputPolicy, grid: Grid, scale: float = 1.0
) -> tuple[Any, Any]:
    """(height, width) after padding, for an image already resized, to `scale` times the policy's size.

    `pad_to` is scaled, too: of the input of a view, image pooling sees the same share as padding.
    """
    low = (1, 1) if config.pad_to is None else [padded_side(scaled_side(s, scale, grid), grid) for s in config.pad_to]
    return larger(padded_side(height, grid), low[0]), larger(padded_side(width, grid), low[1])


def padded_side(side: Any, grid: Grid) -> Any:
    """The smallest side that the grid allows and that is at least `side`."""
    extra = int(grid.plus_one)
    blocks = (side - extra + grid.stride - 1) // grid.stride
    return larger(blocks, 1) * grid.stride + extra


def require_fitting(setting: str, size: tuple[int, int], grid: Grid) -> None:
    """Checks that both sides of a size are those of network inputs.

    Args:
        setting: its path in the experiment's file, for the message.
        size: (height, width).
        grid: the architecture's.

    Raises:
        SettingError: they are not; the message names the nearest sizes that fit.
    """
    above = [padded_side(side, grid) for side in size]
    if above == list(size):
        return
    below = [side if side == up else max(up - grid.stride, padded_side(1, grid)) for side, up in zip(size, above)]
    nearest = " or ".join(str(sides) for sides in ([below] if below != above else []) + [above])
    raise SettingError(setting, f"the model's grid asks for sides of {grid}, found {list(size)}; nearest are {nearest}")


def require_bounded(origin: str, size: tuple[int, ...], config: InputConfig | InputPolicy) -> None:
    """Checks that an image of (height, width) is not too large for a policy that leaves it its size.

    Raises:
        InputError: it has more than `MOST_PIXELS`; the message names the setting that shrinks it, or allows it.
    """
    height, width = size
    if not resizes(config) and height * width > MOST_PIXELS:
        raise InputError(
            f"{origin}: {height} x {width} pixels are more than the {MOST_PIXELS / 1e6:g} million that the network "
            "takes as they are, for memory's sake; input.max_long_side=4000 lets it see the image smaller, "
            f"input.max_long_side={max(height, width)} at full size"
        )


def larger(first: Any, second: Any) -> Any:
    """The larger of two integers."""
    return (first + second + abs(first - second)) // 2


def smaller(first: Any, second: Any) -> Any:
    """The smaller of two integers."""
    return (first + second - abs(first - second)) // 2


def _ratio(side: Any, target: int, whole: Any) -> Any:
    """Target times side over whole, rounded half up."""
    return (2 * side * target + whole) // (2 * whole)
