"""Which blocks of a network stride and which dilate, for an output stride, and what strides its endpoints have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def dilated(strides: Iterable[int], output_stride: int, stride: int = 2) -> Iterator[tuple[int, int]]:
    """Stride and dilation of each block; a stride beyond the output stride dilates the blocks after it.

    Args:
        strides: of the blocks of the network that does not dilate.
        output_stride: largest stride of a map.
        stride: of the first block's input.

    Source: DeepLab2 `model/encoder/mobilenet.py`; TensorFlow DeepLab has the same rule for Xception.
    """
    dilation = 1
    for wanted in strides:
        own = wanted if stride < output_stride else 1
        yield own, dilation
        if own == wanted:
            stride *= own
        else:
            dilation *= wanted


def stage_strides(config: Any) -> dict[str, int]:
    """Stride of the endpoints `res1` to `res5`, for a configuration with an `output_stride`."""
    return {f"res{stage}": min(2**stage, config.output_stride) for stage in range(1, 6)}
