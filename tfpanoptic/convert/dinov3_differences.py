"""EoMTs that are published as differences from DINOv3, whose weights nobody but Meta may hand on without its licence.

The backbone's arrays are to be added to those of DINOv3; all others are whole.

Source: EoMT's `model_zoo/dinov3.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from tfpanoptic.convert.vit_fitting import shapes_of, size_of
from tfpanoptic.convert.vit_names import BACKBONE, BUFFERS, CLASS_TOKEN, POSITIONS, QUERIES, our_arrays
from tfpanoptic.errors import InputError

LICENCE = (
    "DINOv3 License (Meta), whose text goes with every copy: "
    "https://ai.meta.com/resources/models-and-libraries/dinov3-license/"
)
# Scales of layer normalisation are near 1; the differences of two networks' are near 0. Own choice.
_SMALLEST_MEAN_SCALE = 0.1
_SCALES = re.compile(r"block\d+/norm[12]/gamma")
# Width -> name of that size in DINOv3's files.
_NAMES = {384: "vits16", 768: "vitb16", 1024: "vitl16"}


def require_whole(arrays: Mapping[str, np.ndarray]) -> None:
    """Checks that the backbone's arrays, by our paths, are no differences. There are none from DINOv2.

    Raises:
        InputError: they are.
    """
    if POSITIONS in arrays or CLASS_TOKEN not in arrays:
        return
    scales = [np.mean(array) for path, array in arrays.items() if _SCALES.fullmatch(path)]
    if scales and float(np.mean(scales)) < _SMALLEST_MEAN_SCALE:
        raise InputError(
            "the backbone's weights are differences from DINOv3 (scales of layer normalisation near 0), of no use "
            f"alone; give DINOv3 itself with --backbone FILE. {_where_it_is(arrays[CLASS_TOKEN].shape[-1])}"
        )


def add_backbone(
    variables: Mapping[str, np.ndarray], backbone: Mapping[str, np.ndarray], origin: str = "--backbone"
) -> dict[str, np.ndarray]:
    """The weights of an EoMT that is published as differences.

    Args:
        variables: of the EoMT, name -> array in PyTorch's layout.
        backbone: of DINOv3, likewise.
        origin: what messages call the backbone.

    Returns:
        The arrays by our paths, in Keras' layout, and the buffers by their names.

    Raises:
        InputError: whole weights, another backbone, or arrays that one of them has alone.
    """
    arrays, base = our_arrays(variables), our_arrays(backbone)
    if QUERIES not in arrays or CLASS_TOKEN not in arrays or POSITIONS in arrays:
        advice = "give the two files in the other order" if QUERIES in base else "leave --backbone out"
        raise InputError(f"expected differences of an EoMT from DINOv3, found {_kind_of(arrays)}; {advice}")
    shapes = {path: shape for path, shape in shapes_of(arrays).items() if BACKBONE.match(path)}
    base_shapes = shapes_of(base)
    if CLASS_TOKEN not in base or POSITIONS in base or QUERIES in base:
        raise InputError(f"{origin}: expected DINOv3 alone, as Meta publishes it, found {_kind_of(base)}")
    if size_of(shapes) != size_of(base_shapes):
        raise InputError(
            f"{origin}: expected DINOv3 of {size_of(shapes)}, found {size_of(base_shapes)}. "
            f"{_where_it_is(size_of(shapes).width)}"
        )
    if shapes != base_shapes:
        others = sorted({path for path, _ in shapes.items() ^ base_shapes.items()})
        raise InputError(f"{origin}: expected DINOv3 with the same arrays, these are not: {', '.join(others[:3])}")
    # Training moves weights by less than their own size, so whole ones are nearer to DINOv3 than to 0.
    if sum(_square(arrays[path] - base[path]) - _square(arrays[path]) for path in shapes) < 0:
        raise InputError("expected differences from DINOv3, found whole weights; leave --backbone out")
    buffers = {name: array for name, array in variables.items() if name.endswith(BUFFERS)}
    return buffers | arrays | {path: arrays[path] + base[path] for path in shapes}


def _kind_of(arrays: Mapping[str, np.ndarray]) -> str:
    """What network some arrays, by our paths, are of."""
    if CLASS_TOKEN not in arrays:
        return "another network"
    if QUERIES not in arrays:
        return "DINOv2" if POSITIONS in arrays else "DINOv3"
    return "an EoMT with DINOv2, whose weights are whole" if POSITIONS in arrays else "an EoMT"


def _where_it_is(width: int) -> str:
    name = _NAMES.get(width, "vit*16")
    return (
        "Meta gives it to those who accept its licence: model.safetensors of "
        f"https://huggingface.co/facebook/dinov3-{name}-pretrain-lvd1689m, or dinov3_{name}_pretrain_lvd1689m-*.pth of "
        "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/"
    )


def _square(array: np.ndarray) -> float:
    return float(np.vdot(array, array))
